/* SPDX-License-Identifier: Apache-2.0 */
/** @file explain.h `doorkeeper explain`: why is somebody allowed, or denied, something? */
#ifndef DOORKEEPER_CLI_EXPLAIN_H
#define DOORKEEPER_CLI_EXPLAIN_H

/** Returns the exit status: 0 allowed, 1 not allowed, 2 wrong usage, or nobody could say. */
int dk_explain_main(int argc, char **argv);

#endif
