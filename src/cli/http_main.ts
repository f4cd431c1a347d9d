/** Main module of the HTTP bridge's process; its arguments are the flags of `inferd http`. */
import { startHttp } from "../http/server.ts";
import { runHttp } from "./http.ts";
import { runProgram, thisMachine } from "./program.ts";

if (import.meta.main) await runProgram((args) => runHttp(args, thisMachine(), startHttp));
