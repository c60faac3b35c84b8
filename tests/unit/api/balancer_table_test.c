#define _POSIX_C_SOURCE 200809L
#include "support/test_alloc.h"

#include "api/balancer_table.h"
#include "base/mix.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NODES_MAX 600

/* Nodes by number: number 7 has the id 0...07 and says its number in its address. */
struct flock {
    struct test_alloc t;
    struct cv_balancer_table table;
    const uint32_t *numbers;
    size_t count;
    size_t next;
    struct covey_node node;
    char address[COVEY_ADDRESS_TEXT_SIZE];
};

static covey_node_id id_of(uint32_t number)
{
    covey_node_id id = {{0}};
    for (size_t i = 0; i < 4; i++)
        id.bytes[15 - i] = (uint8_t)(number >> 8 * i);
    id.bytes[3] = (uint8_t)number; /* not only the second word tells them apart */
    id.bytes[2] = (uint8_t)(number >> 8);
    return id;
}

static uint32_t number_of(const covey_node_id *id)
{
    return (uint32_t)id->bytes[14] << 8 | id->bytes[15];
}

static void address_of(uint32_t number, char *text)
{
    snprintf(text, COVEY_ADDRESS_TEXT_SIZE, "10.0.%u.%u:%u", number >> 8, number & 255,
             1000 + number);
}

static const struct covey_node *next_node(void *user)
{
    struct flock *f = user;
    if (f->next == f->count)
        return NULL;
    const uint32_t number = f->numbers[f->next++];
    address_of(number, f->address);
    f->node = (struct covey_node){.id = id_of(number), .name = "", .address = f->address};
    return &f->node;
}

static size_t show(struct flock *f, const uint32_t *numbers, size_t count)
{
    f->numbers = numbers;
    f->count = count;
    f->next = 0;
    return cv_balancer_table_show(&f->table, next_node, f);
}

#define SHOW(f, ...)                                                                               \
    show((f), (const uint32_t[]){__VA_ARGS__}, sizeof((const uint32_t[]){__VA_ARGS__}) / 4)

static void setup_for(struct flock *f, uint32_t nodes_max)
{
    memset(f, 0, sizeof *f);
    test_alloc_init(&f->t);
    assert_int_equal(cv_balancer_table_init(&f->table, &f->t.alloc, nodes_max, true, 1), 0);
}

static void setup(struct flock *f)
{
    setup_for(f, 10);
}

static void teardown(struct flock *f)
{
    cv_balancer_table_fini(&f->table);
    test_alloc_assert_empty(&f->t);
}

/* Picks, and checks that what was picked fits together. */
static struct covey_pick picked(struct flock *f, enum covey_balance_policy policy,
                                const covey_node_id *avoid)
{
    struct covey_pick pick;
    char address[COVEY_ADDRESS_TEXT_SIZE];
    assert_int_equal(cv_balancer_table_pick(&f->table, policy, avoid, &pick), 0);
    address_of(number_of(&pick.id), address);
    assert_string_equal(pick.address, address);
    const covey_node_id id = id_of(number_of(&pick.id));
    assert_memory_equal(&pick.id, &id, sizeof id);
    return pick;
}

/* The next in turn, given back at once. */
static uint32_t turn(struct flock *f)
{
    const struct covey_pick pick = picked(f, COVEY_BALANCE_ROUND_ROBIN, NULL);
    cv_balancer_table_done(&f->table, pick.handle);
    return number_of(&pick.id);
}

/* The one with the fewest calls, and it has one more. */
static uint32_t least(struct flock *f)
{
    const struct covey_pick pick = picked(f, COVEY_BALANCE_LEAST_CALLS, NULL);
    return number_of(&pick.id);
}

static void nobody_is_not_found(void **state)
{
    (void)state;
    struct flock f;
    struct covey_pick pick;
    setup(&f);
    for (int policy = 0; policy <= COVEY_BALANCE_TWO_CHOICES; policy++)
        assert_int_equal(
            cv_balancer_table_pick(&f.table, (enum covey_balance_policy)policy, NULL, &pick),
            COVEY_ERR_NOT_FOUND);
    assert_int_equal(cv_balancer_table_pick_for(&f.table, 1, NULL, &pick), COVEY_ERR_NOT_FOUND);
    SHOW(&f, 1);
    assert_int_equal(turn(&f), 1);
    show(&f, NULL, 0);
    assert_int_equal(cv_balancer_table_pick(&f.table, COVEY_BALANCE_RANDOM, NULL, &pick),
                     COVEY_ERR_NOT_FOUND);
    teardown(&f);
}

static void turns_go_round_by_id(void **state)
{
    (void)state;
    struct flock f;
    setup(&f);
    SHOW(&f, 2, 5, 300);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(turn(&f), 2);
        assert_int_equal(turn(&f), 5);
        assert_int_equal(turn(&f), 300);
    }
    teardown(&f);
}

/* Whoever comes or goes: the turn is that of the next after the last one. */
static void turns_go_on_when_members_come_and_go(void **state)
{
    (void)state;
    struct flock f;
    setup(&f);
    SHOW(&f, 2, 4, 6);
    assert_int_equal(turn(&f), 2);
    assert_int_equal(turn(&f), 4);
    SHOW(&f, 1, 2, 3, 4, 5, 6); /* 1 and 3 had no turn before; they have theirs in the next round */
    assert_int_equal(turn(&f), 5);
    assert_int_equal(turn(&f), 6);
    assert_int_equal(turn(&f), 1);
    SHOW(&f, 2, 3); /* the last one has gone */
    assert_int_equal(turn(&f), 2);
    SHOW(&f, 2, 3, 9);
    assert_int_equal(turn(&f), 3);
    show(&f, NULL, 0); /* and when all have gone it is remembered */
    show(&f, NULL, 0);
    SHOW(&f, 1, 2, 4);
    assert_int_equal(turn(&f), 4);
    assert_int_equal(turn(&f), 1);
    teardown(&f);
}

static void one_is_avoided_while_there_are_others(void **state)
{
    (void)state;
    struct flock f;
    const covey_node_id avoid = id_of(3);
    struct covey_pick pick;
    setup(&f);
    SHOW(&f, 2, 3, 4);
    for (int policy = 0; policy <= COVEY_BALANCE_TWO_CHOICES; policy++) {
        unsigned counts[5] = {0};
        for (int i = 0; i < 200; i++) {
            pick = picked(&f, (enum covey_balance_policy)policy, &avoid);
            counts[number_of(&pick.id)]++;
            cv_balancer_table_done(&f.table, pick.handle);
        }
        assert_int_equal(counts[3], 0);
        assert_in_range(counts[2], 60, 140);
    }
    for (uint64_t hash = 0; hash < 50; hash++) {
        assert_int_equal(cv_balancer_table_pick_for(&f.table, hash, &avoid, &pick), 0);
        assert_int_not_equal(number_of(&pick.id), 3);
    }
    SHOW(&f, 3);
    for (int policy = 0; policy <= COVEY_BALANCE_TWO_CHOICES; policy++) {
        pick = picked(&f, (enum covey_balance_policy)policy, &avoid);
        assert_int_equal(number_of(&pick.id), 3);
    }
    teardown(&f);
}

static void chance_is_even(void **state)
{
    (void)state;
    struct flock f;
    unsigned counts[5] = {0};
    setup(&f);
    SHOW(&f, 0, 1, 2, 3, 4);
    for (int i = 0; i < 10000; i++) {
        const struct covey_pick pick = picked(&f, COVEY_BALANCE_RANDOM, NULL);
        counts[number_of(&pick.id)]++;
        cv_balancer_table_done(&f.table, pick.handle);
    }
    for (int i = 0; i < 5; i++)
        assert_in_range(counts[i], 1800, 2200); /* six standard deviations are 240 */
    teardown(&f);
}

static void fewest_calls_come_first(void **state)
{
    (void)state;
    struct flock f;
    struct covey_pick picks[9];
    setup(&f);
    SHOW(&f, 1, 2, 3);
    for (int i = 0; i < 9; i++)
        picks[i] = picked(&f, COVEY_BALANCE_LEAST_CALLS, NULL);
    for (int i = 0; i < 9; i++)
        assert_int_equal(number_of(&picks[i].id), 1 + i % 3);
    cv_balancer_table_done(&f.table, picks[4].handle); /* 2 has one less */
    struct covey_pick pick = picked(&f, COVEY_BALANCE_LEAST_CALLS, NULL);
    assert_int_equal(number_of(&pick.id), 2);
    assert_int_equal(cv_balancer_table_open(&f.table), 9);
    teardown(&f);
}

/* Of two random ones the less busy: the most that anyone has stays near the mean. */
static void two_choices_are_nearly_even(void **state)
{
    (void)state;
    struct flock f;
    uint32_t numbers[100];
    unsigned counts[100] = {0};
    setup_for(&f, 100);
    for (uint32_t i = 0; i < 100; i++)
        numbers[i] = i;
    show(&f, numbers, 100);
    for (int i = 0; i < 10000; i++) {
        const struct covey_pick pick = picked(&f, COVEY_BALANCE_TWO_CHOICES, NULL);
        counts[number_of(&pick.id)]++;
    }
    for (int i = 0; i < 100; i++) /* with one choice it would be 100 +- 30 */
        assert_in_range(counts[i], 90, 106);
    teardown(&f);
}

static void counts_survive_who_comes_and_goes(void **state)
{
    (void)state;
    struct flock f;
    setup(&f);
    SHOW(&f, 1, 2);
    const struct covey_pick first = picked(&f, COVEY_BALANCE_ROUND_ROBIN, NULL);
    assert_int_equal(number_of(&first.id), 1);
    assert_int_equal(turn(&f), 2);
    const struct covey_pick second = picked(&f, COVEY_BALANCE_ROUND_ROBIN, NULL);
    assert_int_equal(number_of(&second.id), 1);
    SHOW(&f, 0, 1, 2, 3);
    for (int i = 0; i < 3; i++)
        assert_int_not_equal(least(&f), 1);
    SHOW(&f, 2); /* gone with a call, and back with it */
    SHOW(&f, 2, 5);
    SHOW(&f, 1);
    assert_int_equal(cv_balancer_table_open(&f.table), 5);
    SHOW(&f, 1, 7);
    assert_int_equal(least(&f), 7);
    assert_int_equal(least(&f), 7);
    show(&f, NULL, 0);
    cv_balancer_table_done(&f.table, first.handle); /* of one that is gone */
    assert_int_equal(cv_balancer_table_open(&f.table), 6);
    teardown(&f);
}

static void given_back_twice_is_once(void **state)
{
    (void)state;
    struct flock f;
    setup(&f);
    SHOW(&f, 1, 2);
    const struct covey_pick one = picked(&f, COVEY_BALANCE_ROUND_ROBIN, NULL);
    const struct covey_pick other = picked(&f, COVEY_BALANCE_ROUND_ROBIN, NULL);
    cv_balancer_table_done(&f.table, one.handle);
    cv_balancer_table_done(&f.table, one.handle);
    cv_balancer_table_done(&f.table, UINT64_MAX);
    assert_int_equal(cv_balancer_table_open(&f.table), 1);
    assert_int_equal(least(&f), 1);
    cv_balancer_table_done(&f.table, other.handle);
    teardown(&f);
}

/* All that can be listed at once, and twice as many slots, come to their end and come free again. */
static void more_than_fit_are_counted(void **state)
{
    (void)state;
    struct flock f;
    setup_for(&f, 3);
    assert_int_equal(SHOW(&f, 1, 2, 3), 0);
    assert_int_equal(SHOW(&f, 1, 2, 3, 4, 5), 2);
    assert_int_equal(cv_balancer_table_count(&f.table), 3);
    struct covey_pick picks[6];
    for (int i = 0; i < 3; i++)
        picks[i] = picked(&f, COVEY_BALANCE_ROUND_ROBIN, NULL);
    assert_int_equal(SHOW(&f, 11, 12, 13), 0);
    for (int i = 3; i < 6; i++)
        picks[i] = picked(&f, COVEY_BALANCE_ROUND_ROBIN, NULL);
    assert_int_equal(SHOW(&f, 21, 22, 23), 3); /* every slot has a call of somebody's */
    assert_int_equal(cv_balancer_table_count(&f.table), 0);
    for (int i = 0; i < 6; i++)
        cv_balancer_table_done(&f.table, picks[i].handle);
    assert_int_equal(SHOW(&f, 21, 22, 23), 0);
    assert_int_equal(cv_balancer_table_count(&f.table), 3);
    assert_int_equal(turn(&f), 21);
    teardown(&f);
}

/* Slots of those who left are used again however many come and go. */
static void slots_are_used_again(void **state)
{
    (void)state;
    struct flock f;
    setup_for(&f, 2);
    for (uint32_t i = 0; i < 1000; i += 2) {
        assert_int_equal(SHOW(&f, i, i + 1), 0);
        (void)turn(&f);
    }
    assert_int_equal(cv_balancer_table_open(&f.table), 0);
    teardown(&f);
}

#define KEYS 20000

/* Wherever among those that are gone it stands, and whoever goes in the same show. */
static void who_comes_back_has_the_same_slot(void **state)
{
    (void)state;
    struct flock f;
    uint64_t handles[6];
    setup(&f);
    SHOW(&f, 1, 2, 3, 4, 5);
    for (uint32_t i = 1; i <= 5; i++) {
        const struct covey_pick pick = picked(&f, COVEY_BALANCE_ROUND_ROBIN, NULL);
        handles[number_of(&pick.id)] = pick.handle;
    }
    SHOW(&f, 1, 2);
    SHOW(&f, 3, 5, 6); /* 1 and 2 go while 3 and 5 come back */
    SHOW(&f, 1, 2, 3, 4, 5);
    for (uint32_t i = 1; i <= 5; i++) {
        const struct covey_pick pick = picked(&f, COVEY_BALANCE_LEAST_CALLS, NULL);
        assert_int_equal(pick.handle, handles[number_of(&pick.id)]);
    }
    assert_int_equal(cv_balancer_table_open(&f.table), 10);
    teardown(&f);
}

static void owners(struct flock *f, uint32_t *out)
{
    for (uint64_t key = 0; key < KEYS; key++) {
        struct covey_pick pick;
        assert_int_equal(cv_balancer_table_pick_for(&f->table, cv_mix64(key), NULL, &pick), 0);
        out[key] = number_of(&pick.id);
        cv_balancer_table_done(&f->table, pick.handle);
    }
}

/* The keys that move go to the one that came, and are as many as each has. */
static void a_join_moves_one_of_n_keys(void **state)
{
    (void)state;
    static uint32_t before[KEYS], joined[KEYS], left[KEYS];
    struct flock f;
    uint32_t numbers[20];
    unsigned moved = 0;
    setup_for(&f, 20);
    for (uint32_t i = 0; i < 20; i++)
        numbers[i] = 3 * i;
    show(&f, numbers, 19);
    owners(&f, before);
    show(&f, numbers, 20);
    owners(&f, joined);
    for (size_t key = 0; key < KEYS; key++) {
        if (before[key] == joined[key])
            continue;
        moved++;
        assert_int_equal(joined[key], 57);
    }
    assert_in_range(moved, KEYS / 20 * 6 / 10, KEYS / 20 * 14 / 10);
    show(&f, numbers, 19);
    owners(&f, left);
    assert_memory_equal(left, before, sizeof before);
    teardown(&f);
}

static void without_memory_nothing_is_there(void **state)
{
    (void)state;
    struct test_alloc t;
    struct cv_balancer_table table;
    test_alloc_init(&t);
    for (size_t n = 1; n <= 17; n++) {
        t.fail_at = t.calls + n;
        assert_int_equal(cv_balancer_table_init(&table, &t.alloc, 4, true, 0), COVEY_ERR_NO_MEMORY);
        test_alloc_assert_empty(&t);
    }
    t.fail_at = 0;
    assert_int_equal(cv_balancer_table_init(&table, &t.alloc, 4, true, 0), 0);
    cv_balancer_table_fini(&table);
    test_alloc_assert_empty(&t);
}

/* ---- threads ---- */

#define THREADS   8
#define PICKS     20000
#define REVISIONS 3000

struct picker {
    struct flock *flock;
    enum covey_balance_policy policy;
    bool by_key;
    unsigned odd; /* picks whose words do not fit together */
};

static void *pick_and_give_back(void *user)
{
    struct picker *p = user;
    for (int i = 0; i < PICKS; i++) {
        struct covey_pick pick;
        char address[COVEY_ADDRESS_TEXT_SIZE];
        if ((p->by_key
                 ? cv_balancer_table_pick_for(&p->flock->table, cv_mix64((uint64_t)i), NULL, &pick)
                 : cv_balancer_table_pick(&p->flock->table, p->policy, NULL, &pick)) != 0)
            continue;
        const uint32_t number = number_of(&pick.id);
        const covey_node_id id = id_of(number);
        address_of(number, address);
        p->odd += strcmp(address, pick.address) != 0 || memcmp(&id, &pick.id, sizeof id) != 0;
        cv_balancer_table_done(&p->flock->table, pick.handle);
    }
    return NULL;
}

/* Whoever is chosen meanwhile is one that was listed, whole, and no count is lost. */
static void picks_and_changes_do_not_disturb_each_other(void **state)
{
    (void)state;
    static struct flock f;
    struct picker pickers[THREADS];
    pthread_t threads[THREADS];
    uint32_t numbers[50];
    setup_for(&f, 40);
    SHOW(&f, 1, 2, 3);
    for (unsigned i = 0; i < THREADS; i++) {
        pickers[i] = (struct picker){&f, (enum covey_balance_policy)(i % 4), i > 5, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, pick_and_give_back, &pickers[i]), 0);
    }
    for (uint32_t r = 0; r < REVISIONS; r++) {
        uint32_t count = 0;
        for (uint32_t n = 0; n < 50; n++) {
            if ((r * 7 + n * 13) % 5 < 3)
                numbers[count++] = n + r / 100;
        }
        show(&f, numbers, count);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(pickers[i].odd, 0);
    }
    assert_int_equal(cv_balancer_table_open(&f.table), 0);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_not_found),
        cmocka_unit_test(turns_go_round_by_id),
        cmocka_unit_test(turns_go_on_when_members_come_and_go),
        cmocka_unit_test(one_is_avoided_while_there_are_others),
        cmocka_unit_test(chance_is_even),
        cmocka_unit_test(fewest_calls_come_first),
        cmocka_unit_test(two_choices_are_nearly_even),
        cmocka_unit_test(counts_survive_who_comes_and_goes),
        cmocka_unit_test(given_back_twice_is_once),
        cmocka_unit_test(more_than_fit_are_counted),
        cmocka_unit_test(slots_are_used_again),
        cmocka_unit_test(who_comes_back_has_the_same_slot),
        cmocka_unit_test(a_join_moves_one_of_n_keys),
        cmocka_unit_test(without_memory_nothing_is_there),
        cmocka_unit_test(picks_and_changes_do_not_disturb_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
