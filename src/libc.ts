/**
 * The system calls that Bun lacks.
 *
 * Every call returns what the kernel would: a value >= 0, or minus the errno (compare
 * with E). Nothing here throws. Paths and arguments are byte strings: JavaScript strings
 * in which each character is one byte (latin1), so names that are no UTF-8 survive.
 */
export { bind, cstr, memory, result, Strings, strerror } from "./libc/binding.ts";
export * from "./libc/clocks.ts";
export { AT_FDCWD, E, IN, O } from "./libc/constants.ts";
export * from "./libc/descriptors.ts";
export * from "./libc/files.ts";
export * from "./libc/processes.ts";
export * from "./libc/signals.ts";
