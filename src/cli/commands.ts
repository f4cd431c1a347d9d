/** The table of commands. */
import type { Command } from "./command.ts";

/** Imported on demand, so that `status` does not load what `serve` imports. The first is the default. */
export const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  serve: async () => (await import("./serve.ts")).serve,
  status: async () => (await import("./status.ts")).status,
  ps: async () => (await import("./ps.ts")).ps,
  stop: async () => (await import("./stop.ts")).stop,
  reload: async () => (await import("./reload.ts")).reload,
  logs: async () => (await import("./logs.ts")).logs,
  watch: async () => (await import("./watch.ts")).watch,
  run: async () => (await import("./run.ts")).run,
  generate: async () => (await import("./generate.ts")).generate,
  chat: async () => (await import("./chat.ts")).chat,
  embed: async () => (await import("./embed.ts")).embed,
  rerank: async () => (await import("./rerank.ts")).rerank,
  http: async () => (await import("./http.ts")).http,
  pull: async () => (await import("./pull.ts")).pull,
  import: async () => (await import("./import.ts")).importModel,
  models: async () => (await import("./models.ts")).models,
  show: async () => (await import("./show.ts")).show,
  cp: async () => (await import("./rename.ts")).cp,
  rename: async () => (await import("./rename.ts")).rename,
  rm: async () => (await import("./rm.ts")).rm,
  gc: async () => (await import("./gc.ts")).gc,
  config: async () => (await import("./config.ts")).config,
  doctor: async () => (await import("./doctor.ts")).doctor,
  permissions: async () => (await import("./permissions.ts")).permissions,
  service: async () => (await import("./service.ts")).service,
  uninstall: async () => (await import("./uninstall.ts")).uninstall,
  completions: async () => (await import("./completions.ts")).completions,
};
