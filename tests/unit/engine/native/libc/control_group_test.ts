import { assertEquals } from "@std/assert";
import { groupBytes } from "../../../../../src/engine/native/libc/control_group.ts";

/** The kernel's files. */
const machine = (files: Readonly<Record<string, string>>) => (path: string): string | undefined => files[path];

Deno.test("groupBytes is the least that this process's groups leave, page cache counted as free", () => {
  const root = "/sys/fs/cgroup";
  const files = {
    "/proc/self/cgroup": "0::/system.slice/inferd.service\n",
    [`${root}/system.slice/memory.max`]: "8000\n",
    [`${root}/system.slice/memory.current`]: "7900\n",
    [`${root}/system.slice/memory.stat`]: "anon 5000\nfile 2900\ninactive_file 2000\nactive_file 800\n",
    [`${root}/system.slice/inferd.service/memory.max`]: "4000\n",
    [`${root}/system.slice/inferd.service/memory.current`]: "1500\n",
    [`${root}/system.slice/inferd.service/memory.stat`]: "inactive_file 100\nactive_file 0\n",
  };
  assertEquals(groupBytes(machine(files)), 2600);
  assertEquals(groupBytes(machine({ ...files, [`${root}/system.slice/memory.max`]: "7000\n" })), 1900);
  assertEquals(groupBytes(machine({ ...files, [`${root}/system.slice/memory.max`]: "1000\n" })), 0);
});

Deno.test("groupBytes finds the limit of a container, whose group has another name outside", () => {
  const root = "/sys/fs/cgroup/memory";
  const files = {
    "/proc/self/cgroup": "9:name=systemd:/docker/ab\n4:cpu,memory:/docker/ab\n0::/\n",
    [`${root}/memory.limit_in_bytes`]: "5000\n",
    [`${root}/memory.usage_in_bytes`]: "1000\n",
    [`${root}/memory.stat`]: "inactive_file 7\ntotal_inactive_file 300\ntotal_active_file 30\n",
  };
  assertEquals(groupBytes(machine(files)), 4330);
});

Deno.test("groupBytes knows of no limit where there is none", () => {
  const root = "/sys/fs/cgroup";
  const files = {
    "/proc/self/cgroup": "4:memory:/a\n0::/\n",
    [`${root}/memory/a/memory.limit_in_bytes`]: "9223372036854771712\n",
    [`${root}/memory/a/memory.usage_in_bytes`]: "1000\n",
    [`${root}/memory.max`]: "max\n",
    [`${root}/memory.current`]: "1000\n",
  };
  assertEquals(groupBytes(machine(files)), undefined);
  assertEquals(groupBytes(machine({})), undefined);
});
