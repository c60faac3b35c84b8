#ifndef COVEY_TOOL_MEMBER_LIST_H
#define COVEY_TOOL_MEMBER_LIST_H

#include <covey/cluster.h>
#include <stdbool.h>

/* Prints members to stdout, one a line, the columns aligned. What a peer wrote (names, tags) can
 * change nothing but its own cell: control characters are shown as \xNN. */
void print_member_table(const covey_node_list *list);

/* Prints them as one JSON array. False when memory is out. */
bool print_member_json(const covey_node_list *list);

#endif
