// Greets, and leaves a file behind.
const fs = require("fs");
const path = require("path");

const name = process.env.NAME || "world";
console.log(`Hello, ${name}!`);
fs.writeFileSync(path.join(process.env.LOCAL_JOB_OUT_DIR, "greeting.txt"), `Hello, ${name}!\n`);
