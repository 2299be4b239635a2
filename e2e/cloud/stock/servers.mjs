// Serves two emulators that others wrote, each on a Unix socket in the folder that is given: dynalite (DynamoDB), and fauxqs
// (SQS in its JSON protocol, S3 in memory). Their own programs listen on every address of the machine.
import { join } from "node:path";
import dynalite from "dynalite";
import { buildApp } from "fauxqs";

const folder = process.argv[2];
const quick = { createTableMs: 0, updateTableMs: 0, deleteTableMs: 0 };
await new Promise((done) => dynalite(quick).listen(join(folder, "dynamodb"), done));
await buildApp({ logger: false }).listen({ path: join(folder, "sqs") });
console.log("serving");
