package report

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"waybill/internal/job"
)

// properties are those of a message: an object, or a list of {key, value}. Values may be numbers or truth values.
type properties []job.MessageProperty

// UnmarshalJSON takes both forms.
func (p *properties) UnmarshalJSON(text []byte) error {
	*p = nil
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("[")) {
		var list []struct {
			Key   string `json:"key"`
			Value scalar `json:"value"`
		}
		if err := json.Unmarshal(text, &list); err != nil {
			return err
		}
		for _, one := range list {
			*p = append(*p, job.MessageProperty{Key: one.Key, Value: string(one.Value)})
		}
		return nil
	}
	var object map[string]scalar
	if err := json.Unmarshal(text, &object); err != nil {
		return err
	}
	for key, value := range object {
		*p = append(*p, job.MessageProperty{Key: key, Value: string(value)})
	}
	slices.SortFunc(*p, func(a, b job.MessageProperty) int { return strings.Compare(a.Key, b.Key) })
	return nil
}

// scalar is a text that programs also write as a number or a truth value.
type scalar string

// UnmarshalJSON takes a string, a number, true, false, and null as nothing.
func (s *scalar) UnmarshalJSON(text []byte) error {
	switch {
	case bytes.Equal(text, []byte("true")), bytes.Equal(text, []byte("false")):
		*s = scalar(text)
		return nil
	default:
		return (*recordID)(s).UnmarshalJSON(text)
	}
}

func (e event) checkMessage() error {
	if !job.ValidMessageName(e.Name) {
		return badMessageName
	}
	if wrong := job.CheckProperties(e.Properties); wrong != "" {
		return fault(wrong)
	}
	if e.Body != nil && e.BodyFile != "" {
		return twoBodies
	}
	return nil
}

func (e event) checkOutput() error {
	if !job.ValidOutputName(e.Name) {
		return badOutputName
	}
	if len(e.Value) == 0 {
		return noValue
	}
	return nil
}

// body is the text of a message. A program that has it as JSON need not write it as a text in JSON.
func (e event) body() string {
	if e.Body == nil {
		return ""
	}
	var text string
	if json.Unmarshal(e.Body, &text) == nil {
		return text
	}
	var compact bytes.Buffer
	if json.Compact(&compact, e.Body) != nil { // it was read as JSON a moment ago
		return ""
	}
	return compact.String()
}

// message takes an out message. Bodies and properties are kept as they are: they are for whoever started the job, and masked
// they would be of no use.
func (c *Collector) message(e event) {
	m := job.Message{Name: cut(c.cfg.Mask(e.Name), job.MaxMessageName), Properties: e.Properties}
	if e.BodyFile != "" {
		if c.cfg.ReadFile == nil {
			c.warn(wordNotUnderstood, "a bodyFile can not be read here")
			return
		}
		body, err := c.cfg.ReadFile(e.BodyFile, job.MaxMessageBody+1)
		if err != nil {
			// Not the error: warnings of one kind are counted, and it would name folders of the worker.
			c.warn(wordNotUnderstood, "the bodyFile of a message is no file in the job's folders that can be read")
			return
		}
		m.Body = string(body)
	} else {
		m.Body = e.body()
	}
	c.take(m)
}

// take keeps a message that is within the bounds.
func (c *Collector) take(m job.Message) {
	if len(m.Body) > job.MaxMessageBody {
		c.warn(wordLimit, "the body of a message of more than "+strconv.Itoa(job.MaxMessageBody)+" bytes is not kept")
		return
	}
	if job.CheckMessages("", []job.Message{m}) != nil {
		c.warn(wordNotUnderstood, "the body of a message is not text")
		return
	}
	had, again := c.sizes[m.Name]
	switch {
	case !again && len(c.sizes) == job.MaxMessages:
		c.warn(wordLimit, "more than "+strconv.Itoa(job.MaxMessages)+" messages")
		return
	case c.told-had+m.Bytes() > job.MaxMessageBytes:
		c.warn(wordLimit, "messages of more than "+strconv.Itoa(job.MaxMessageBytes)+" bytes together")
		return
	}
	c.told += m.Bytes() - had
	c.sizes[m.Name] = m.Bytes()
	c.messages = replaceOrAppend(c.messages, m, func(a job.Message) bool { return a.Name == m.Name })
}

// Answer makes the standard output of a program that has ended its answer, unless it gave one itself. Of a JSON object with the member
// out that member counts (diem.md, 4.2); an out message counts as it is.
func (c *Collector) Answer(text string, whole bool) {
	if _, came := c.sizes[job.AnswerMessage]; came || text == "" {
		return
	}
	if !whole {
		c.warn(wordLimit, "standard output of more than "+strconv.Itoa(job.MaxMessageBody)+" bytes is not kept whole as the answer")
	}
	c.take(job.Message{Name: job.AnswerMessage, Body: answerIn(text)})
}

func answerIn(text string) string {
	var object map[string]json.RawMessage
	if strings.HasPrefix(strings.TrimSpace(text), "{") && json.Unmarshal([]byte(text), &object) == nil {
		if out, told := object[job.AnswerMessage]; told {
			return string(out)
		}
	}
	return text
}

// output takes an output value. It is shown on the job, so secrets in it are not.
func (c *Collector) output(e event) {
	v := job.OutValue{Name: cut(c.cfg.Mask(e.Name), job.MaxMessageName), Value: c.masked(e.Value)}
	if len(v.Value) > job.MaxOutValue {
		c.warn(wordLimit, "an output value of more than "+strconv.Itoa(job.MaxOutValue)+" bytes is not kept")
		return
	}
	if !c.valued[v.Name] && len(c.valued) == job.MaxOutValues {
		c.warn(wordLimit, "more than "+strconv.Itoa(job.MaxOutValues)+" output values")
		return
	}
	c.valued[v.Name] = true
	c.values = replaceOrAppend(c.values, v, func(a job.OutValue) bool { return a.Name == v.Name })
}

func replaceOrAppend[T any](list []T, one T, same func(T) bool) []T {
	if i := slices.IndexFunc(list, same); i >= 0 {
		list[i] = one
		return list
	}
	return append(list, one)
}

// masked hides secrets in all texts of a JSON value, whichever way JSON writes them; a number that holds one becomes a text.
func (c *Collector) masked(raw json.RawMessage) json.RawMessage {
	in := json.NewDecoder(bytes.NewReader(raw))
	in.UseNumber()
	var value any
	if in.Decode(&value) != nil { // it was read as JSON a moment ago
		return json.RawMessage("null")
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	if enc.Encode(c.maskedValue(value)) != nil {
		return json.RawMessage("null")
	}
	return bytes.TrimSpace(out.Bytes())
}

func (c *Collector) maskedValue(value any) any {
	switch v := value.(type) {
	case string:
		return c.cfg.Mask(v)
	case json.Number:
		if hidden := c.cfg.Mask(v.String()); hidden != v.String() {
			return hidden
		}
	case []any:
		for i := range v {
			v[i] = c.maskedValue(v[i])
		}
	case map[string]any:
		hidden := make(map[string]any, len(v))
		for key, one := range v {
			hidden[c.cfg.Mask(key)] = c.maskedValue(one)
		}
		return hidden
	}
	return value
}

// Expect warns of messages that somebody waits for and that did not come. The program has ended.
func (c *Collector) Expect(names []string) {
	var missing []string
	for _, name := range names {
		if _, came := c.sizes[name]; !came && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		c.warnings = append(c.warnings, &warning{word: wordMissing, about: cut(strings.Join(missing, ", "), job.MaxErrorText)})
		c.warned = true
	}
}

// Urgent tells whether somebody may wait for what is to be taken.
func (c *Collector) Urgent() bool { return len(c.messages) > 0 }

// Files takes what lies in the output folder now. It must be sorted by name.
func (c *Collector) Files(files []job.Output) {
	if !slices.EqualFunc(files, c.files, func(a, b job.Output) bool { return a.Name == b.Name && a.Size == b.Size }) {
		c.files, c.filesNew = files, true
	}
}
