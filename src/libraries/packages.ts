/**
 * node-llama-cpp's packages of native libraries: sizes, hashes, and where an unpacked package has its libraries. Pure.
 */
import { LIBRARY_VERSION } from "./library_files.ts";

export interface PackageFile {
  /** Size of the compressed archive. */
  readonly bytes: number;
  /** Hash of the compressed archive in base64, as in npm's `sha512-`. */
  readonly sha512: string;
}

/** Packages of this release, without scope. */
export const PACKAGES = {
  "linux-x64": {
    bytes: 10_582_760,
    sha512: "Totj6RTDMGo3FoK2yNUaz/oGmZD0olAqTrRluFUWmu0kW2i9TOzHSW0OWCAiGkzRCVX0WsU2CyUQo/W2NYtdPA==",
  },
  "linux-x64-cuda": {
    bytes: 142_850_036,
    sha512: "idsE55VoD/FbvLhnBC9krUJaUoC0XnebseAAnCpm/brKf61HEbu+idgbb5eN6mxkjLSrHtILprJ0nDcUJjVrFg==",
  },
  "linux-x64-cuda-ext": {
    bytes: 176_679_086,
    sha512: "1PuURowccBcks3CCoMe1mTHh5vD0V5bFHMUEgtbI/OSDjpP+Pdbn+lf42CGUrepTzR8kCH1HovQ7d8q6/vuIKA==",
  },
  "linux-x64-vulkan": {
    bytes: 27_476_121,
    sha512: "flEeSzONQ6OIm5bYKLQf4eEnBzcC5WugFbyPUwkCqyyOFZ8pH0H9ulQ7ZNDLSIczeKneMRJornlyY1Hq7d3GDA==",
  },
  "linux-arm64": {
    bytes: 7_213_055,
    sha512: "eI3anSEGzJiwF2rpMpZVTdHzw47LztbvfvuRzlu/fPO18ROnBOd+75RPUBlV6qENPpmNtbov85+3VODwEwBurg==",
  },
  "mac-arm64-metal": {
    bytes: 4_858_447,
    sha512: "6MIDAZV7DXD9R1+jEXWJkFuolni3GATGE6mmuyFYc6ZmtOh9djAy15df0T0AXK3sCmVKL+fQcOAWZezxx4MvQQ==",
  },
  "mac-x64": {
    bytes: 10_809_280,
    sha512: "Q4nyNmbcNiKygBZQZjX+qLk2w3YzoiFpLWsxNURQN7xjyUi2p2rWxjRa7Otg0FrjGf/ri4aQ+X3Uj5Y0zD06eg==",
  },
  "win-x64": {
    bytes: 9_787_045,
    sha512: "JcIpCnra7bAd7JNWA8ehdn2DIRaTMuj+fBC8bw+5rKSNzszWFbuj2XA05c5QHovonDMBLN1ePXE/hcfZtzXoUQ==",
  },
  "win-x64-cuda": {
    bytes: 138_542_727,
    sha512: "PLz70neFEMkQTlmJqG1ujUtCSgHasLPMxQ9rLkqQVmZYAXqkRj+45TIHCjdn3XqUeaoun0vrO9rRaxZ8NVq9jg==",
  },
  "win-x64-cuda-ext": {
    bytes: 175_417_684,
    sha512: "L2MxLVEYPDDe4O8EDWPmX6brldc9+Vt9hNoT/anj3pSnmrjkQcmaoKhHs6oP5qhEhb5Uog0rj6lgzNGtJO3p9Q==",
  },
  "win-x64-vulkan": {
    bytes: 26_619_567,
    sha512: "HJ237Azh5m4Sz+w3A1IU/fYLaSDOocskcfn2ILTgqTuuORCB86EMnu3Yt/XsNhRHTtEiwz1Q/E0mO4PLIbZLAA==",
  },
  "win-arm64": {
    bytes: 4_606_830,
    sha512: "/UDR7Y0B8iKfc/tqxBmWkcgRdZQ9Wrkwod7fYl4J6iZXcTIj286RkHvZSED7VMY67TrcUXVvxJVMNFtmjeYnDg==",
  },
} as const satisfies Readonly<Record<string, PackageFile>>;

export type PackageName = keyof typeof PACKAGES;

export const PACKAGE_SCOPE = "@node-llama-cpp";

export function fullName(name: PackageName): string {
  return `${PACKAGE_SCOPE}/${name}`;
}

/** Folder for this release's unpacked packages in a cache folder. */
export function packagesFolder(cacheDir: string): string {
  return `${cacheDir}/libraries/${LIBRARY_VERSION}`;
}

export function librariesIn(folder: string, name: PackageName): string {
  // An `-ext` package has a library for the package it extends.
  return name.endsWith("-ext") ? `${folder}/bins/${name.slice(0, -"-ext".length)}/fallback` : `${folder}/bins/${name}`;
}
