/*
 * nearest: which word was meant, for "did you mean …?".
 */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

/* Of `count` names the one that is most like `word`, when it is like it at all, else NULL. */
const char *nearest_word(const char *word, const char *const *names, size_t count);

#endif
