package joblog

// automaton finds many patterns at once in a stream (Aho and Corasick, 1975): it looks at each byte about once, however
// many patterns there are. Nodes are linked lists of children, since there are a few thousand of them for a secret and
// nearly all have one child; only the root, where the search is nearly always, has a table.
type automaton struct {
	nodes []node
	root  [256]int32
}

type node struct {
	child, sibling int32
	fail           int32
	depth          int32 // bytes from the root: how much of the text's end may be the beginning of a pattern
	match          int32 // bytes of the longest pattern that ends here; 0: none
	tail           int32 // bytes behind it that belong to it, whatever they are
	symbol         byte
}

// pattern is a text to be found. Of a long one only the head is looked for; tail says how many bytes follow it.
type pattern struct {
	head string
	tail int
}

func newAutomaton(patterns []pattern) *automaton {
	a := &automaton{nodes: make([]node, 1, 64)}
	for _, p := range patterns {
		a.add(p)
	}
	a.link()
	return a
}

func (a *automaton) add(p pattern) {
	at := int32(0)
	for i := range len(p.head) {
		next := a.childOf(at, p.head[i])
		if next == 0 {
			next = int32(len(a.nodes))
			a.nodes = append(a.nodes, node{sibling: a.nodes[at].child, depth: int32(i + 1), symbol: p.head[i]})
			a.nodes[at].child = next
			if at == 0 {
				a.root[p.head[i]] = next
			}
		}
		at = next
	}
	a.nodes[at].match = int32(len(p.head))
	a.nodes[at].tail = max(a.nodes[at].tail, int32(p.tail))
}

func (a *automaton) childOf(at int32, symbol byte) int32 {
	if at == 0 {
		return a.root[symbol]
	}
	c := a.nodes[at].child
	for c != 0 && a.nodes[c].symbol != symbol {
		c = a.nodes[c].sibling
	}
	return c
}

// link sets, level by level, where the search goes on when a node has no child for the next byte: at the longest end of
// what it has read that begins another pattern. What ends there ends here, too.
func (a *automaton) link() {
	queue := make([]int32, 0, len(a.nodes))
	for c := a.nodes[0].child; c != 0; c = a.nodes[c].sibling {
		queue = append(queue, c)
	}
	for i := 0; i < len(queue); i++ {
		for c := a.nodes[queue[i]].child; c != 0; c = a.nodes[c].sibling {
			a.nodes[c].fail = a.step(a.nodes[queue[i]].fail, a.nodes[c].symbol)
			queue = append(queue, c)
		}
		n, shorter := &a.nodes[queue[i]], a.nodes[a.nodes[queue[i]].fail]
		n.match, n.tail = max(n.match, shorter.match), max(n.tail, shorter.tail)
	}
}

// step is the state behind one more byte.
func (a *automaton) step(state int32, symbol byte) int32 {
	for state != 0 {
		if next := a.childOf(state, symbol); next != 0 {
			return next
		}
		state = a.nodes[state].fail
	}
	return a.root[symbol]
}
