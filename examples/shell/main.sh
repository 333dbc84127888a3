#!/bin/sh
# Adds up orders by customer. Orders below 0 are refused, and told as record errors, which a retry may do again.
set -eu
. "$WAYBILL_HELPERS/waybill.sh"

waybill_started "add up"
tail -n +2 data/orders.csv >"$TMPDIR/orders"
refused=0 read=0
: >"$TMPDIR/good"
while IFS=, read -r order customer amount; do
	read=$((read + 1))
	if [ "$amount" -lt 0 ]; then
		refused=$((refused + 1))
		waybill_error id="$order" code=negative message="The amount is below 0"
	else
		echo "$customer,$amount" >>"$TMPDIR/good"
	fi
done <"$TMPDIR/orders"
waybill_counters read=$read written=$((read - refused)) failed=$refused
awk -F, '{ sum[$1] += $2 } END { for (c in sum) print c "," sum[c] }' "$TMPDIR/good" | sort >"$LOCAL_JOB_OUT_DIR/totals.csv"
waybill_finished "add up"
echo "$GREETING: totals of $(wc -l <"$LOCAL_JOB_OUT_DIR/totals.csv" | tr -d ' ') customers, $refused order refused"
