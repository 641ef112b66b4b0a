/* SPDX-License-Identifier: Apache-2.0 */
/**
 * @file replay.h
 * `doorkeeper replay`: recorded decisions asked again of another policy. docs/replay.md.
 */
#ifndef DOORKEEPER_CLI_REPLAY_H
#define DOORKEEPER_CLI_REPLAY_H

/** `argv[0]` is "replay". Returns the exit status: 0 the same, 1 differences, 2 trouble. */
int dk_replay_main(int argc, char **argv);

#endif
