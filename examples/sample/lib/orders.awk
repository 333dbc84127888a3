# Checks orders and writes them as NDJSON.
# Columns: order_id, date, customer, email, sku, quantity, unit_price, currency. Fields hold no commas, and no quotation marks
# around them; a row with one is refused rather than misread.

BEGIN {
	FS = ","
	n = split(currencies, list, " ")
	for (i = 1; i <= n; i++) accepted[list[i]] = 1
	good = out "/orders.ndjson"
	bad = out "/rejected.ndjson"
	printf "" > good
	printf "" > bad
}

# quote makes a JSON string. It goes character by character, because the awks do not agree on backslashes in gsub.
function quote(s,   i, c, r) {
	r = ""
	for (i = 1; i <= length(s); i++) {
		c = substr(s, i, 1)
		if (c == "\\" || c == "\"") r = r "\\"
		else if (c < " ") c = " "
		r = r c
	}
	return "\"" r "\""
}

function trim(s) {
	gsub(/^[ \t]+|[ \t\r]+$/, "", s)
	return s
}

# fault says what is wrong with the row, or nothing.
function fault() {
	if (NF != 8) return "has " NF " columns, not 8"
	if ($0 ~ /"/) return "holds quotation marks"
	for (i = 1; i <= NF; i++) $i = trim($i)
	if ($1 !~ /^[A-Z]+-[0-9]+$/) return "order_id is not of the form ABC-123"
	if ($1 in seen) return "order_id is there twice, first in line " seen[$1]
	if ($2 !~ /^[0-9][0-9][0-9][0-9]-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$/) return "date is not YYYY-MM-DD"
	if ($3 == "") return "customer is empty"
	if ($4 !~ /^[^@ ]+@[^@ ]+\.[^@ ]+$/) return "email is not an address"
	if ($6 !~ /^[1-9][0-9]*$/) return "quantity is not a positive whole number"
	if ($7 !~ /^[0-9]+(\.[0-9][0-9]?)?$/) return "unit_price is not an amount"
	if (!($8 in accepted)) return "currency " $8 " is not accepted"
	return ""
}

NR == 1 { next }
/^[ \t\r]*$/ { next }

{
	rows++
	line = trim($0)
	why = fault()
	if (why != "") {
		failed++
		printf "{\"line\":%d,\"error\":%s,\"row\":%s}\n", NR, quote(why), quote(line) > bad
		printf "line %d rejected: %s\n", NR, why
		next
	}
	seen[$1] = NR
	passed++
	cents = int($6 * $7 * 100 + 0.5)
	total[$8] += cents
	printf "{\"orderId\":%s,\"date\":%s,\"customer\":%s,\"email\":%s,\"sku\":%s,\"quantity\":%d,\"unitPrice\":%.2f,\"currency\":%s,\"amount\":%.2f}\n", \
		quote($1), quote($2), quote($3), quote($4), quote($5), $6, $7, quote($8), cents / 100 > good
}

END {
	for (c in accepted) if (total[c] > 0) printf "total %s %.2f\n", c, total[c] / 100
	printf "%d rows read, %d passed, %d failed\n", rows, passed, failed
	printf "{\"rows\":%d,\"passed\":%d,\"failed\":%d}\n", rows, passed, failed > (out "/summary.json")
	if (rows == 0) exit 2
	if (strict + 0 && failed > 0) exit 3
}
