/**
 * The `inferd` command line: picks a command, nothing else.
 *
 * @module
 */
