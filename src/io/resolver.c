#include "io/resolver.h"

#include "io/sockaddr.h"
#include "io/thread.h"

#include <assert.h>
#include <covey/error.h>
#include <netdb.h>
#include <pthread.h>
#include <string.h>
#include <sys/queue.h>

#define QUESTIONS_MAX 64
/* A name in DNS has up to 253 characters. */
#define HOST_SIZE 256

/*
 * Who owns what: the questions belong to the resolver's side, whose allocator may end with it. The
 * thread looks at one only under the lock and while the resolver is there; it takes the name along
 * to its own stack, and the answer back. What both sides share outlives the slower one and so
 * comes from malloc.
 *
 *   waiting -> asked (getaddrinfo runs) -> posted (in the loop's mailbox) -> answered, freed
 *   '--------------------- numbers only -----^
 */
struct question {
    struct cv_mail mail;
    const struct cv_alloc *alloc;
    struct cv_resolver *resolver; /* NULL: it was freed while the question was in the mailbox */
    TAILQ_ENTRY(question) all;
    STAILQ_ENTRY(question) waiting;
    bool posted;
    void (*answer)(const struct cv_resolver_answer *answer); /* NULL: forgotten */
    struct cv_resolver_answer result;
    char host[HOST_SIZE];
    uint16_t port;
};

struct shared {
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t changed;
    bool resolver_gone;
    struct cv_loop *loop;
    struct question *asked;
    STAILQ_HEAD(, question) waiting;
};

struct cv_resolver {
    const struct cv_alloc *alloc;
    struct cv_loop *loop;
    struct shared *shared;
    bool has_thread; /* since the first name */
    pthread_t thread;
    size_t count;
    TAILQ_HEAD(, question) all;
};

static void shared_free(struct shared *s)
{
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    cv_release(cv_alloc_default(), s);
}

static struct shared *shared_new(struct cv_loop *loop)
{
    struct shared *s = cv_allocate_zeroed(cv_alloc_default(), 1, sizeof *s);
    if (s == NULL)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->loop = loop;
    STAILQ_INIT(&s->waiting);
    return s;
}

static bool is_among(const struct cv_resolver_answer *answer, const struct cv_address *address)
{
    for (size_t i = 0; i < answer->count; i++) {
        if (cv_address_equal(&answer->addresses[i], address))
            return true;
    }
    return false;
}

static void add_address(struct cv_resolver_answer *answer, const struct addrinfo *info,
                        uint16_t port)
{
    struct cv_address address = cv_sockaddr_get(info->ai_addr);
    address.port = port;
    if (address.family != 0 && answer->count < CV_RESOLVER_ADDRESSES_MAX &&
        !is_among(answer, &address))
        answer->addresses[answer->count++] = address;
}

/* Without AI_ADDRCONFIG: a machine that has nothing but its loopback has answers too. */
static void look_up(const char *host, uint16_t port, struct cv_resolver_answer *answer)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM};
    struct addrinfo *list = NULL;
    if (getaddrinfo(host, NULL, &hints, &list) == 0) {
        for (const struct addrinfo *info = list; info != NULL; info = info->ai_next)
            add_address(answer, info, port);
        freeaddrinfo(list);
    }
    answer->error = answer->count == 0 ? COVEY_ERR_RESOLVE : 0;
}

/* Not to be refused, however much the loop has to do: there are at most 64. */
static void post(struct cv_loop *loop, struct question *q)
{
    q->posted = true;
    cv_loop_post_sure(loop, &q->mail);
}

static void post_answer(struct shared *s, const struct cv_resolver_answer *answer)
{
    struct question *q = s->asked;
    s->asked = NULL;
    if (s->resolver_gone)
        return;
    q->result.error = answer->error;
    q->result.count = answer->count;
    memcpy(q->result.addresses, answer->addresses, sizeof answer->addresses);
    post(s->loop, q);
}

/* Called and returns with the lock held; the resolver may have gone meanwhile. */
static void answer_next(struct shared *s)
{
    struct question *q = STAILQ_FIRST(&s->waiting);
    struct cv_resolver_answer answer = {.count = 0};
    char host[HOST_SIZE];
    memcpy(host, q->host, sizeof host);
    uint16_t port = q->port;
    STAILQ_REMOVE_HEAD(&s->waiting, waiting);
    s->asked = q;
    pthread_mutex_unlock(&s->lock);
    look_up(host, port, &answer);
    pthread_mutex_lock(&s->lock);
    post_answer(s, &answer);
}

static void *run(void *user)
{
    struct shared *s = user;
    pthread_mutex_lock(&s->lock);
    while (!s->resolver_gone) {
        if (STAILQ_EMPTY(&s->waiting))
            pthread_cond_wait(&s->changed, &s->lock);
        else
            answer_next(s);
    }
    pthread_mutex_unlock(&s->lock);
    shared_free(s);
    return NULL;
}

int cv_resolver_new(const struct cv_alloc *alloc, struct cv_loop *loop, struct cv_resolver **out)
{
    struct cv_resolver *r = cv_allocate(alloc, sizeof *r);
    if (r == NULL)
        return COVEY_ERR_NO_MEMORY;
    *r = (struct cv_resolver){.alloc = alloc, .loop = loop, .shared = shared_new(loop)};
    TAILQ_INIT(&r->all);
    if (r->shared == NULL) {
        cv_release(alloc, r);
        return COVEY_ERR_NO_MEMORY;
    }
    *out = r;
    return 0;
}

static void question_free(struct question *q)
{
    cv_release(q->alloc, q);
}

/* What is in the mailbox cannot be taken back: it frees itself there. */
static void let_go(struct cv_resolver *r)
{
    struct question *q = TAILQ_FIRST(&r->all);
    while (q != NULL) {
        struct question *next = TAILQ_NEXT(q, all);
        q->resolver = NULL;
        if (!q->posted)
            question_free(q);
        q = next;
    }
}

/*
 * A thread that is not looking up ends at once and is waited for: what the C library keeps for it is
 * released only when it ends. One that is may take minutes, and nothing can stop it.
 */
static void end_thread(pthread_t thread, bool is_looking_up)
{
    if (is_looking_up)
        pthread_detach(thread);
    else
        pthread_join(thread, NULL);
}

void cv_resolver_free(struct cv_resolver *r)
{
    struct shared *s = r->shared;
    assert(cv_loop_is_current(r->loop));
    pthread_mutex_lock(&s->lock);
    let_go(r);
    const bool is_looking_up = s->asked != NULL;
    s->resolver_gone = true;
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
    if (r->has_thread)
        end_thread(r->thread, is_looking_up);
    else
        shared_free(s);
    cv_release(r->alloc, r);
}

static void run_answer(struct cv_mail *mail, bool cancelled)
{
    struct question *q = (struct question *)mail;
    if (q->resolver != NULL) {
        TAILQ_REMOVE(&q->resolver->all, q, all);
        q->resolver->count--;
        if (!cancelled && q->answer != NULL)
            q->answer(&q->result);
    }
    question_free(q);
}

/* False: it is a name. */
static bool parse(struct question *q, const char *name)
{
    struct cv_address *address = &q->result.addresses[0];
    if (cv_address_parse(address, name) == 0) {
        q->result.count = 1;
        return true;
    }
    if (cv_address_split(name, q->host, sizeof q->host, &q->port) != 0) {
        q->result.error = COVEY_ERR_ADDRESS;
        return true;
    }
    return false;
}

/* Most have no names to look up, and need no thread. */
static int need_thread(struct cv_resolver *r)
{
    if (r->has_thread)
        return 0;
    int error = cv_thread_start("covey-resolver", run, r->shared, &r->thread);
    r->has_thread = error == 0;
    return error;
}

static void pass_to_thread(struct cv_resolver *r, struct question *q)
{
    struct shared *s = r->shared;
    pthread_mutex_lock(&s->lock);
    STAILQ_INSERT_TAIL(&s->waiting, q, waiting);
    pthread_cond_signal(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

int cv_resolver_ask(struct cv_resolver *r, const char *name,
                    void (*answer)(const struct cv_resolver_answer *answer), void *user)
{
    assert(cv_loop_is_current(r->loop));
    if (r->count >= QUESTIONS_MAX)
        return COVEY_ERR_BUSY;
    struct question *q = cv_allocate_zeroed(r->alloc, 1, sizeof *q);
    if (q == NULL)
        return COVEY_ERR_NO_MEMORY;
    q->mail.run = run_answer;
    q->alloc = r->alloc;
    q->resolver = r;
    q->answer = answer;
    q->result.user = user;
    const bool is_answered = parse(q, name);
    int error = is_answered ? 0 : need_thread(r);
    if (error != 0) {
        question_free(q);
        return error;
    }
    TAILQ_INSERT_TAIL(&r->all, q, all);
    r->count++;
    if (is_answered)
        post(r->loop, q);
    else
        pass_to_thread(r, q);
    return 0;
}

void cv_resolver_forget(struct cv_resolver *r, const void *user)
{
    struct question *q;
    assert(cv_loop_is_current(r->loop));
    TAILQ_FOREACH (q, &r->all, all) {
        if (q->result.user == user)
            q->answer = NULL;
    }
}
