#ifndef EXAMPLE_DIRECTORS_H
#define EXAMPLE_DIRECTORS_H

#include "arguments.h"
#include "assignment.h"

#include <covey/client.h>

/*
 * The directors that a client knows. It asks one as long as that one answers, and the next one when it
 * does not.
 */
struct directors {
    covey_runtime *runtime;
    const covey_identity *identity;
    const struct text_list *addresses;
    size_t current;
    covey_client *client; /* of the current one; NULL before it is asked */
};

/* All are borrowed; `addresses` has at least one. */
void directors_init(struct directors *directors, covey_runtime *runtime,
                    const covey_identity *identity, const struct text_list *addresses);
void directors_fini(struct directors *directors);

/* Asks one director for a worker and waits for the answer, two seconds at most. False after saying why
 * there is none; the next director will be asked then. */
bool directors_ask(struct directors *directors, const struct assignment_request *request,
                   struct assignment *worker);

#endif
