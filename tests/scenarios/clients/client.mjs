// One request with Node's own client: METHOD URL TOKEN WORKSPACE CONTENT-TYPE FILE [PROTOCOL to upgrade to].
// Prints the status, then the body of the answer.
import fs from "node:fs";
import http from "node:http";

const [method, url, token, workspace, type, file, protocol] = process.argv.slice(2);
const upgrade = protocol ? { Connection: "Upgrade", Upgrade: protocol } : {};
const headers = {
  Authorization: `Bearer ${token}`,
  "X-MLFLOW-WORKSPACE": workspace,
  "Content-Type": type,
  "Content-Length": fs.statSync(file).size,
  ...upgrade,
};
const request = http.request(url, { method, headers }, (response) => {
  console.log(response.statusCode);
  response.pipe(process.stdout);
});
fs.createReadStream(file).pipe(request);
