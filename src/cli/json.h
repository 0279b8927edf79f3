/*
 * json: prints what `--json` asks for.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <jansson.h>

#include "cli/command.h"

/* Prints and frees; NULL means that memory had run out while it was made. An exit code. */
int json_finish(const struct context *context, json_t *value);

#endif
