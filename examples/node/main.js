// Adds up orders by customer. Orders below 0 are refused, and told as record errors, which a retry may do again.
const fs = require("fs");
const path = require("path");
const waybill = require("waybill");

const [, ...lines] = fs.readFileSync("data/orders.csv", "utf8").trim().split("\n");
const totals = new Map();
let refused = 0;

waybill.step("add up", () => {
  lines.forEach((line, i) => {
    const [order, customer, amount] = line.split(",");
    if (Number(amount) < 0) {
      refused++;
      waybill.error({ recordId: order, code: "negative", message: "The amount is below 0", data: line });
    } else {
      totals.set(customer, (totals.get(customer) ?? 0) + Number(amount));
    }
    waybill.progress(i + 1, lines.length);
  });
  waybill.counters({ read: lines.length, written: lines.length - refused, failed: refused });
});

const text = [...totals].sort().map(([name, total]) => `${name},${total}\n`).join("");
fs.writeFileSync(path.join(process.env.LOCAL_JOB_OUT_DIR, "totals.csv"), text);
console.log(`${process.env.GREETING}: totals of ${totals.size} customers, ${refused} order refused`);
