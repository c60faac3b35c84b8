/* Membership asks for the addresses of host names. */
#include "api/cluster.h"
#include "io/clock.h"

/* A question of the core's on its way through the resolver. */
struct cv_question {
    covey_server *server;
    uint32_t resolve;
    bool is_dead; /* the core that asked is gone */
    TAILQ_ENTRY(cv_question) entry;
};

static void question_free(struct cv_question *q)
{
    TAILQ_REMOVE(&q->server->questions, q, entry);
    cv_release(&q->server->runtime->alloc, q);
}

void cv_cluster_give_up_questions(covey_server *server)
{
    struct cv_question *q;
    TAILQ_FOREACH (q, &server->questions, entry)
        q->is_dead = true;
}

void cv_cluster_forget_questions(covey_server *server)
{
    while (!TAILQ_EMPTY(&server->questions))
        question_free(TAILQ_FIRST(&server->questions));
}

static void answer_core(covey_server *server, uint32_t resolve, int error,
                        const struct cv_address *addresses, size_t count)
{
    cv_node_resolved(cv_cluster_host(server)->node, resolve, error, addresses, count,
                     cv_loop_now(cv_cluster_host(server)->loop), cv_clock_wall_ms());
}

static void on_answer(const struct cv_resolver_answer *answer)
{
    struct cv_question *q = answer->user;
    if (!q->is_dead)
        answer_core(q->server, q->resolve, answer->error, answer->addresses, answer->count);
    question_free(q);
}

void cv_cluster_on_resolve(void *user, uint32_t resolve, const char *name)
{
    covey_server *server = ((struct cv_server_loop *)user)->server;
    struct cv_question *q = cv_allocate(&server->runtime->alloc, sizeof *q);
    if (q == NULL) {
        answer_core(server, resolve, COVEY_ERR_NO_MEMORY, NULL, 0);
        return;
    }
    *q = (struct cv_question){.server = server, .resolve = resolve};
    TAILQ_INSERT_TAIL(&server->questions, q, entry);
    int error = cv_resolver_ask(cv_cluster_host(server)->resolver, name, on_answer, q);
    if (error != 0) {
        question_free(q);
        answer_core(server, resolve, error, NULL, 0);
    }
}
