"""Adds up orders by customer. Orders below 0 are refused, and told as record errors, which a retry may do again."""
import csv
import os

import waybill
from tables import write_totals  # a library that pip installs from a wheel of this package

with open("data/orders.csv") as f:
    orders = list(csv.DictReader(f))

totals, refused = {}, 0
with waybill.step("add up") as step:
    for done, order in enumerate(orders, 1):
        amount = int(order["amount"])
        if amount < 0:
            refused += 1
            waybill.error(order["order"], "negative", "The amount is below 0", data=order)
        else:
            totals[order["customer"]] = totals.get(order["customer"], 0) + amount
        waybill.progress(done, len(orders))
    step.counters(read=len(orders), written=len(orders) - refused, failed=refused)

write_totals(os.path.join(os.environ["LOCAL_JOB_OUT_DIR"], "totals.csv"), totals)
print(f"{os.environ['GREETING']}: totals of {len(totals)} customers, {refused} order refused")
