/*
 * mbox_scan: from the octets of an own mbox to its records. Changes nothing; used to take in what
 * the index does not know yet, and by verify.
 */
#ifndef STORE_MBOX_SCAN_H
#define STORE_MBOX_SCAN_H

#include "store/index.h"
#include "store/mbox_line.h"

struct mbox_scan {
	struct file *file;
	uint64_t size;     /* of the file */
	uint64_t position; /* where the next record should begin */
	char *octets;      /* STORE_READ_OCTETS to read into */
	int problem;       /* negative errno after MBOX_SCAN_FAILED */
};

enum mbox_scan_result {
	MBOX_SCAN_RECORD,  /* *entry_out: whole; `damaged` when its content fails its checksum */
	MBOX_SCAN_END,     /* the file ends where a record does */
	MBOX_SCAN_TORN,    /* it ends inside a record: from scan.position on nothing is whole */
	MBOX_SCAN_STRANGE, /* the octets from *strange_out to scan.position are not ours: the
			      scan has moved behind them, to a record of ours or the end */
	MBOX_SCAN_FAILED   /* the disk failed, or memory has run out */
};

/* Begins at `position`, which is the start of a record. */
bool mbox_scan_begin(struct mbox_scan *scan, struct file *file, uint64_t size, uint64_t position);
void mbox_scan_end(struct mbox_scan *scan);

/* With STRANGE, *strange_out is where the octets begin (they end at scan->position). */
enum mbox_scan_result mbox_scan_next(struct mbox_scan *scan, struct index_entry *entry_out,
				     uint64_t *strange_out);

#endif
