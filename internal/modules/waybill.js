"use strict";

// What a program run by Waybill may tell, and what it is given. Node 18 and later, nothing to install.
//
//   const waybill = require("waybill");
//   // in an ES module:
//   // import { createRequire } from "node:module";
//   // const waybill = createRequire(import.meta.url)("waybill");
//
//   await waybill.step("load", async () => {
//     for (const record of records) {
//       try { await save(record); }
//       catch (e) { waybill.error({ recordId: record.id, code: "invalid", message: e.message, data: record }); }
//     }
//     waybill.counters({ read: records.length });
//   });
//   waybill.output("rows", records.length);
//
// Outside of Waybill nothing is told, so programs can be tried by hand. Several processes and worker threads may tell at once.

const fs = require("fs");
const path = require("path");
const os = require("os");

const LINE = 256 * 1024; // bytes; a message that is longer as a line goes by a file
let events;
let files = 0;

// tell writes one line of the protocol. Members that are undefined or null are left out.
function tell(event) {
  if (!process.env.WAYBILL_EVENTS) return;
  write(line(Object.fromEntries(Object.entries(event).filter(([, v]) => v !== undefined && v !== null))));
}

function line(event) {
  return Buffer.from(JSON.stringify(event) + "\n");
}

function write(bytes) {
  if (events === undefined) events = fs.openSync(process.env.WAYBILL_EVENTS, fs.constants.O_WRONLY | fs.constants.O_APPEND);
  fs.writeSync(events, bytes); // one call: lines of several processes do not mix
}

// step tells that a step has begun, calls work, and tells how it ended. It gives what work gives, or a promise of it.
function step(name, work) {
  tell({ type: "step", name, status: "started" });
  const finished = (result) => {
    tell({ type: "step", name, status: "finished" });
    return result;
  };
  const failed = (problem) => {
    tell({ type: "step", name, status: "failed", message: String((problem && problem.message) || problem) });
    throw problem;
  };
  let result;
  try {
    result = work();
  } catch (problem) {
    failed(problem);
  }
  if (result && typeof result.then === "function") return Promise.resolve(result).then(finished, failed);
  return finished(result);
}

// progress tells how far the program is.
function progress(done, total, options = {}) {
  tell({ type: "progress", step: options.step, done, total });
}

// counters tells the totals of a step so far: read, written, failed, ignored. What is left out stays as it was.
function counters({ read, written, failed, ignored, step: of } = {}) {
  tell({ type: "counters", step: of, read, written, failed, ignored });
}

// error tells of a record that did not go through. data is the record, any JSON; a retry is given it back.
function error({ recordId, step: of, code, message: why, traceKey, data } = {}) {
  tell({ type: "error", recordId, step: of, code, message: why === undefined ? why : String(why), traceKey, data });
}

// message gives an out message. body is a text, or anything else, which is given as JSON.
function message(name, body = "", properties) {
  if (!process.env.WAYBILL_EVENTS) return;
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const bytes = line({ type: "message", name, body: text, properties });
  if (bytes.length <= LINE) {
    write(bytes);
    return;
  }
  const file = path.join(process.env.TMPDIR || os.tmpdir(), `.waybill-${process.pid}-${Date.now()}-${files++}`);
  fs.writeFileSync(file, text, { flag: "wx" });
  tell({ type: "message", name, bodyFile: file, properties });
}

// output gives a named value, any JSON, that shows on the job.
function output(name, value) {
  if (!process.env.WAYBILL_EVENTS) return;
  write(line({ type: "output", name, value: value === undefined ? null : value }));
}

// retrying tells whether only the records that failed are to be done again.
const retrying = () => process.env.WAYBILL_RETRY_FILE !== undefined;

// retryStep is the first step that failed in the job that is retried, undefined for every other job.
const retryStep = () => process.env.WAYBILL_RETRY_STEP;

// retryRecords gives the records to do again, as { recordId, step, traceKey, data }; none unless retrying(). The file is
// read in pieces.
function* retryRecords() {
  if (!retrying()) return;
  const fd = fs.openSync(process.env.WAYBILL_RETRY_FILE, "r");
  try {
    const piece = Buffer.alloc(64 * 1024);
    let held = Buffer.alloc(0);
    for (;;) {
      const n = fs.readSync(fd, piece, 0, piece.length, null);
      held = Buffer.concat([held, piece.subarray(0, n)]);
      let end;
      let from = 0;
      while ((end = held.indexOf(10, from)) >= 0) {
        if (end > from) yield JSON.parse(held.toString("utf8", from, end));
        from = end + 1;
      }
      held = held.subarray(from);
      if (n === 0) break;
    }
    if (held.length > 0) yield JSON.parse(held.toString("utf8"));
  } finally {
    fs.closeSync(fd);
  }
}

// inMessages lists the messages the job was given: { name, file, properties, body }.
function inMessages() {
  if (!process.env.WAYBILL_IN_FILE) return [];
  return JSON.parse(fs.readFileSync(process.env.WAYBILL_IN_FILE, "utf8")).map((m) => ({
    ...m,
    get body() {
      return fs.readFileSync(m.file, "utf8");
    },
  }));
}

// inMessage finds a message the job was given.
const inMessage = (name) => inMessages().find((m) => m.name === name);

// wantedMessages lists the names of the out messages that somebody waits for.
const wantedMessages = () => JSON.parse(process.env.WAYBILL_OUT_MESSAGES || "[]");

// macro is the value of a macro.
function macro(name, otherwise) {
  const value = process.env[name];
  return value === undefined ? otherwise : value;
}

module.exports = {
  tell, step, progress, counters, error, message, output, retrying, retryStep, retryRecords, inMessages, inMessage,
  wantedMessages, macro,
};
