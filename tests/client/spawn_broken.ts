/**
 * A daemon that lives and never becomes ready: it ends when it is looked after. `Deno.args`: the folder of its sockets,
 * and what it ends with.
 */
const [dir, code] = Deno.args;
using admin = Deno.listen({ transport: "unix", path: `${dir}/admin.sock` });
console.log("Loading");
(await admin.accept()).close();
admin.close();
console.error("The model is broken");
Deno.exit(Number(code));
