/** A client that wants a daemon: connects as its arguments say, asks one thing, prints the answer. */
import { connect, type ConnectOptions } from "@inferd/client";

const options: ConnectOptions = JSON.parse(Deno.args[0] ?? "{}");
await using client = await connect(options);
console.log(await client.generate("hi").text());
