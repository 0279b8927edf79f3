/*
 * spool_others: what other programs do to a spool, maildrop 0 of a world: MTAs that append, mail
 * readers that mark and alter, and such as replace the file.
 */
#ifndef SPOOL_OTHERS_H
#define SPOOL_OTHERS_H

#include "world.h"

#define SPOOL "mail/example.org/alice"

/* A message that nobody else brings, with its From line, behind the end: whole; without its last
 * line end; two of them without the blank line between. */
void others_append(struct world *world);
void others_append_torn(struct world *world);
void others_append_unseparated(struct world *world);

void others_flag(struct world *world);    /* the first message is marked as read; all others move */
void others_alter(struct world *world);   /* an octet of its text is another, in its place */
void others_replace(struct world *world); /* the same octets in another file of the same name */
void others_move_away(struct world *world); /* the same, and the old one goes on elsewhere */

/* Any file, from the top. */
void others_write(struct world *world, const char *path, struct bytes octets);

#endif
