#define _GNU_SOURCE
#include "io/resolver.h"

#include "unit/io/loop_fixture.h"

#include <arpa/inet.h>
#include <covey/error.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/*
 * Stands before the C library's. "slow.test" is answered when the test says so, "many.test" with
 * 20 addresses, "twice.test" with the same ones twice; for all else the real one is asked.
 */
static sem_t slow_asked;
static sem_t slow_go;
static atomic_uint slow_count;

/* Counts the ends of threads that looked something up, as what the C library keeps for each ends. */
static pthread_key_t looked_up;
static atomic_uint ended_count;

static void count_end(void *value)
{
    (void)value;
    atomic_fetch_add(&ended_count, 1);
}

typedef int lookup(const char *, const char *, const struct addrinfo *, struct addrinfo **);
typedef void release(struct addrinfo *);

/* Made by us, so that freeaddrinfo() below can tell. */
#define OUR_FLAGS 0x5eed

static struct addrinfo *entry(unsigned last_byte, struct addrinfo *next)
{
    struct addrinfo *info = calloc(1, sizeof *info + sizeof(struct sockaddr_in));
    struct sockaddr_in *name = (void *)(info + 1);
    name->sin_family = AF_INET;
    name->sin_addr.s_addr = htonl(0xc0000200 + last_byte);
    *info = (struct addrinfo){.ai_flags = OUR_FLAGS,
                              .ai_family = AF_INET,
                              .ai_addr = (void *)name,
                              .ai_addrlen = sizeof *name,
                              .ai_next = next};
    return info;
}

static struct addrinfo *entries(unsigned count, unsigned distinct)
{
    struct addrinfo *list = NULL;
    for (unsigned i = count; i > 0; i--)
        list = entry((i - 1) % distinct, list);
    return list;
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    pthread_setspecific(looked_up, &looked_up);
    if (strcmp(host, "slow.test") == 0) {
        atomic_fetch_add(&slow_count, 1);
        sem_post(&slow_asked);
        (void)wait_for(&slow_go);
        *out = entries(1, 1);
        return 0;
    }
    if (strcmp(host, "many.test") == 0 || strcmp(host, "twice.test") == 0) {
        *out = entries(20, host[0] == 'm' ? 20 : 3);
        return 0;
    }
    lookup *real = (lookup *)(uintptr_t)dlsym(RTLD_NEXT, "getaddrinfo");
    return real(host, service, hints, out);
}

void freeaddrinfo(struct addrinfo *list)
{
    if (list->ai_flags != OUR_FLAGS) {
        release *real = (release *)(uintptr_t)dlsym(RTLD_NEXT, "freeaddrinfo");
        real(list);
        return;
    }
    while (list != NULL) {
        struct addrinfo *next = list->ai_next;
        free(list);
        list = next;
    }
}

struct resolver_fixture {
    struct loop_fixture loop;
    struct cv_resolver *resolver;
    int error;
};

static void resolver_new(void *user)
{
    struct resolver_fixture *f = user;
    f->error = cv_resolver_new(&f->loop.memory.alloc, f->loop.loop, &f->resolver);
}

static void resolver_free(void *user)
{
    struct resolver_fixture *f = user;
    if (f->resolver != NULL)
        cv_resolver_free(f->resolver);
    f->resolver = NULL;
}

static void setup(struct resolver_fixture *f, uint32_t mails_max)
{
    *f = (struct resolver_fixture){.resolver = NULL};
    sem_init(&slow_asked, 0, 0);
    sem_init(&slow_go, 0, 0);
    atomic_store(&slow_count, 0);
    init(&f->loop, mails_max);
    call(&f->loop, resolver_new, f);
    assert_int_equal(f->error, 0);
}

static void teardown(struct resolver_fixture *f)
{
    call(&f->loop, resolver_free, f);
    fini(&f->loop);
}

struct question {
    struct resolver_fixture *f;
    const char *name;
    bool free_in_answer;
    bool free_after_asking;
    int error;
    bool asking;
    bool answered_inside;
    unsigned answers;
    struct cv_resolver_answer answer;
    sem_t done;
};

static void on_answer(const struct cv_resolver_answer *answer)
{
    struct question *q = answer->user;
    q->answer = *answer;
    q->answers++;
    q->answered_inside = q->asking;
    if (q->free_in_answer)
        resolver_free(q->f);
    sem_post(&q->done);
}

static void ask_now(void *user)
{
    struct question *q = user;
    q->asking = true;
    q->error = cv_resolver_ask(q->f->resolver, q->name, on_answer, q);
    q->asking = false;
    if (q->free_after_asking)
        resolver_free(q->f);
}

static void ask(struct resolver_fixture *f, struct question *q, const char *name)
{
    q->f = f;
    q->name = name;
    sem_init(&q->done, 0, 0);
    call(&f->loop, ask_now, q);
}

static void assert_answer(struct question *q, int error, const char *const *addresses, size_t count)
{
    assert_int_equal(q->error, 0);
    assert_true(wait_for(&q->done));
    assert_int_equal(q->answer.error, error);
    assert_int_equal(q->answer.count, count);
    assert_false(q->answered_inside);
    for (size_t i = 0; i < count; i++) {
        char text[CV_ADDRESS_TEXT_SIZE];
        assert_string_equal(cv_address_text(&q->answer.addresses[i], text), addresses[i]);
    }
}

static void assert_resolves(const char *name, int error, const char *const *addresses, size_t count)
{
    struct resolver_fixture f;
    struct question q = {.answers = 0};
    setup(&f, 16);
    ask(&f, &q, name);
    assert_answer(&q, error, addresses, count);
    teardown(&f);
    assert_int_equal(q.answers, 1);
}

static void numbers_are_answered(void **state)
{
    (void)state;
    assert_resolves("192.0.2.1:4433", 0, (const char *[]){"192.0.2.1:4433"}, 1);
    assert_resolves("[2001:db8::1]:65535", 0, (const char *[]){"[2001:db8::1]:65535"}, 1);
}

static void what_is_no_host_and_port_is_no_address(void **state)
{
    (void)state;
    static const char *const names[] = {"", "host", "host:", "host:65536", ":1", "a b:1", "[x]:1"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_resolves(names[i], COVEY_ERR_ADDRESS, NULL, 0);
}

static void a_name_too_long_is_no_address(void **state)
{
    (void)state;
    char name[300];
    memset(name, 'a', sizeof name);
    memcpy(name + 256, ":1", 3);
    assert_resolves(name, COVEY_ERR_ADDRESS, NULL, 0);
}

static void localhost_resolves(void **state)
{
    (void)state;
    struct resolver_fixture f;
    struct question q = {.answers = 0};
    bool found = false;
    struct addrinfo *known;
    if (getaddrinfo("localhost", NULL, NULL, &known) != 0)
        skip(); /* a root without /etc/hosts */
    freeaddrinfo(known);
    setup(&f, 16);
    ask(&f, &q, "localhost:4433");
    assert_int_equal(q.error, 0);
    assert_true(wait_for(&q.done));
    assert_int_equal(q.answer.error, 0);
    for (size_t i = 0; i < q.answer.count; i++) {
        char text[CV_ADDRESS_TEXT_SIZE];
        (void)cv_address_text(&q.answer.addresses[i], text);
        found = found || strcmp(text, "127.0.0.1:4433") == 0 || strcmp(text, "[::1]:4433") == 0;
    }
    assert_true(found);
    teardown(&f);
}

static void a_name_that_does_not_exist_cannot_be_resolved(void **state)
{
    (void)state;
    assert_resolves("does-not-exist.invalid:1", COVEY_ERR_RESOLVE, NULL, 0);
}

static void addresses_are_told_once_and_in_order(void **state)
{
    (void)state;
    assert_resolves("twice.test:7", 0,
                    (const char *[]){"192.0.2.0:7", "192.0.2.1:7", "192.0.2.2:7"}, 3);
}

static void there_are_at_most_sixteen_addresses(void **state)
{
    (void)state;
    struct resolver_fixture f;
    struct question q = {.answers = 0};
    char text[CV_ADDRESS_TEXT_SIZE];
    setup(&f, 16);
    ask(&f, &q, "many.test:7");
    assert_true(wait_for(&q.done));
    assert_int_equal(q.answer.count, CV_RESOLVER_ADDRESSES_MAX);
    assert_string_equal(cv_address_text(&q.answer.addresses[15], text), "192.0.2.15:7");
    teardown(&f);
}

static void a_slow_name_does_not_hold_up_numbers(void **state)
{
    (void)state;
    struct resolver_fixture f;
    struct question slow = {.answers = 0};
    struct question fast = {.answers = 0};
    setup(&f, 16);
    ask(&f, &slow, "slow.test:1");
    assert_true(wait_for(&slow_asked));
    ask(&f, &fast, "192.0.2.9:1");
    assert_answer(&fast, 0, (const char *[]){"192.0.2.9:1"}, 1);
    assert_int_equal(slow.answers, 0);
    sem_post(&slow_go);
    assert_answer(&slow, 0, (const char *[]){"192.0.2.0:1"}, 1);
    teardown(&f);
}

static void at_most_64_questions_wait(void **state)
{
    (void)state;
    struct resolver_fixture f;
    struct question *q = calloc(66, sizeof *q);
    setup(&f, 1000);
    for (int i = 0; i < 64; i++) {
        ask(&f, &q[i], "slow.test:1");
        assert_int_equal(q[i].error, 0);
    }
    ask(&f, &q[64], "slow.test:1");
    assert_int_equal(q[64].error, COVEY_ERR_BUSY);
    for (int i = 0; i < 64; i++)
        sem_post(&slow_go);
    for (int i = 0; i < 64; i++)
        assert_answer(&q[i], 0, (const char *[]){"192.0.2.0:1"}, 1);
    ask(&f, &q[65], "192.0.2.9:1");
    assert_answer(&q[65], 0, (const char *[]){"192.0.2.9:1"}, 1);
    assert_int_equal(q[64].answers, 0);
    teardown(&f);
    free(q);
}

/* The thread is inside the look-up, more questions wait: the resolver and its loop go, the thread
 * follows later. */
static void no_answer_comes_after_free(void **state)
{
    (void)state;
    struct resolver_fixture f;
    struct question q[3] = {{.answers = 0}};
    setup(&f, 16);
    for (int i = 0; i < 3; i++)
        ask(&f, &q[i], "slow.test:1");
    assert_true(wait_for(&slow_asked));
    teardown(&f);
    sem_post(&slow_go);
    assert_true(wait_no_thread("covey-resolver"));
    for (int i = 0; i < 3; i++)
        assert_int_equal(q[i].answers, 0);
    assert_int_equal(atomic_load(&slow_count), 1);
}

static void an_answer_in_the_mailbox_is_dropped_by_free(void **state)
{
    (void)state;
    struct resolver_fixture f;
    struct question q = {.free_after_asking = true};
    setup(&f, 16);
    ask(&f, &q, "192.0.2.1:1");
    assert_int_equal(q.error, 0);
    teardown(&f);
    assert_int_equal(q.answers, 0);
}

static void forget_now(void *user)
{
    const struct question *q = user;
    cv_resolver_forget(q->f->resolver, q);
}

static void a_forgotten_question_has_no_answer(void **state)
{
    (void)state;
    struct resolver_fixture f;
    struct question slow = {.answers = 0};
    struct question numbers = {.answers = 0};
    setup(&f, 16);
    ask(&f, &slow, "slow.test:1");
    assert_true(wait_for(&slow_asked));
    call(&f.loop, forget_now, &slow);
    sem_post(&slow_go);
    ask(&f, &numbers, "many.test:1"); /* asked after it, so answered after it */
    assert_true(wait_for(&numbers.done));
    assert_int_equal(slow.answers, 0);
    teardown(&f);
}

static void an_answer_may_free_the_resolver(void **state)
{
    (void)state;
    struct resolver_fixture f;
    struct question q = {.free_in_answer = true};
    setup(&f, 16);
    ask(&f, &q, "192.0.2.1:1");
    assert_true(wait_for(&q.done));
    teardown(&f);
    assert_int_equal(q.answers, 1);
}

/* The loop is held up by a mail, and its mailbox of one is full, when both answers come. */
struct jam {
    struct cv_mail blocker;
    struct cv_mail filler;
    struct question *numbers;
    sem_t entered;
    sem_t full;
    sem_t asked;
    sem_t leave;
};

static void jam_run(struct cv_mail *mail, bool cancelled)
{
    struct jam *j = (struct jam *)mail;
    (void)cancelled;
    sem_post(&j->entered);
    (void)wait_for(&j->full);
    ask_now(j->numbers);
    sem_post(&j->asked);
    (void)wait_for(&j->leave);
}

static void do_nothing(struct cv_mail *mail, bool cancelled)
{
    (void)mail;
    (void)cancelled;
}

static void a_full_mailbox_loses_no_answer(void **state)
{
    (void)state;
    struct resolver_fixture f;
    struct question slow = {.answers = 0};
    struct question numbers = {.f = &f, .name = "192.0.2.1:1"};
    setup(&f, 1);
    struct jam j = {
        .blocker = {.run = jam_run}, .filler = {.run = do_nothing}, .numbers = &numbers};
    sem_init(&numbers.done, 0, 0);
    sem_init(&j.entered, 0, 0);
    sem_init(&j.full, 0, 0);
    sem_init(&j.asked, 0, 0);
    sem_init(&j.leave, 0, 0);
    ask(&f, &slow, "slow.test:1");
    assert_true(wait_for(&slow_asked));
    assert_int_equal(cv_loop_post(f.loop.loop, &j.blocker), 0);
    assert_true(wait_for(&j.entered));
    assert_int_equal(cv_loop_post(f.loop.loop, &j.filler), 0);
    sem_post(&slow_go);
    sem_post(&j.full);
    assert_true(wait_for(&j.asked));
    sem_post(&j.leave);
    assert_answer(&slow, 0, (const char *[]){"192.0.2.0:1"}, 1);
    assert_answer(&numbers, 0, (const char *[]){"192.0.2.1:1"}, 1);
    teardown(&f);
}

static void no_memory(void **state)
{
    (void)state;
    struct resolver_fixture f;
    struct question q = {.answers = 0};
    setup(&f, 16);
    f.loop.memory.fail_at = f.loop.memory.calls + 1;
    ask(&f, &q, "192.0.2.1:1");
    assert_int_equal(q.error, COVEY_ERR_NO_MEMORY);
    call(&f.loop, resolver_free, &f);
    f.loop.memory.fail_at = f.loop.memory.calls + 1;
    call(&f.loop, resolver_new, &f);
    assert_int_equal(f.error, COVEY_ERR_NO_MEMORY);
    assert_null(f.resolver);
    teardown(&f);
}

static void the_thread_ends_with_the_resolver(void **state)
{
    (void)state;
    struct resolver_fixture f;
    for (int i = 0; i < 10; i++) {
        struct question q = {.answers = 0};
        setup(&f, 16);
        ask(&f, &q, "many.test:7");
        assert_true(wait_for(&q.done));
        assert_true(count_threads("covey-resolver") > 0);
        teardown(&f);
    }
    assert_true(wait_no_thread("covey-resolver"));
}

static void who_asks_for_no_name_has_no_thread(void **state)
{
    (void)state;
    struct resolver_fixture f;
    struct question q = {.answers = 0};
    setup(&f, 16);
    ask(&f, &q, "127.0.0.1:7");
    assert_true(wait_for(&q.done));
    assert_int_equal(count_threads("covey-resolver"), 0);
    teardown(&f);
}

/* Not only soon after: a program that exits right then leaves nothing of the thread behind. */
static void an_idle_thread_ends_before_free_returns(void **state)
{
    (void)state;
    struct resolver_fixture f;
    for (unsigned i = 1; i <= 10; i++) {
        struct question q = {.answers = 0};
        atomic_store(&ended_count, 0);
        setup(&f, 16);
        ask(&f, &q, "many.test:7");
        assert_true(wait_for(&q.done));
        call(&f.loop, resolver_free, &f);
        assert_int_equal(atomic_load(&ended_count), 1);
        teardown(&f);
    }
}

int main(void)
{
    pthread_key_create(&looked_up, count_end);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_answered),
        cmocka_unit_test(what_is_no_host_and_port_is_no_address),
        cmocka_unit_test(a_name_too_long_is_no_address),
        cmocka_unit_test(localhost_resolves),
        cmocka_unit_test(a_name_that_does_not_exist_cannot_be_resolved),
        cmocka_unit_test(addresses_are_told_once_and_in_order),
        cmocka_unit_test(there_are_at_most_sixteen_addresses),
        cmocka_unit_test(a_slow_name_does_not_hold_up_numbers),
        cmocka_unit_test(at_most_64_questions_wait),
        cmocka_unit_test(no_answer_comes_after_free),
        cmocka_unit_test(an_answer_in_the_mailbox_is_dropped_by_free),
        cmocka_unit_test(a_forgotten_question_has_no_answer),
        cmocka_unit_test(an_answer_may_free_the_resolver),
        cmocka_unit_test(a_full_mailbox_loses_no_answer),
        cmocka_unit_test(no_memory),
        cmocka_unit_test(who_asks_for_no_name_has_no_thread),
        cmocka_unit_test(the_thread_ends_with_the_resolver),
        cmocka_unit_test(an_idle_thread_ends_before_free_returns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
