#include "sim_internal.h"

#include "cluster/membership_internal.h"

#include <math.h>

/* The failure detector of each node: FD1, FD5. */

#define PHI_MAX    300.0
#define HEALTH_MAX 8

void sim_scan_detector(struct sim *s, const struct sim_node *n)
{
    const struct cv_gossip_protocol *g = &n->membership->gossip;
    struct cv_membership_stats stats;
    cv_membership_stats(n->membership, &stats);
    uint32_t health = stats.local_health + s->planted->ailment;
    sim_require(s, SIM_FD5, health <= HEALTH_MAX, "%s has a local health of %" PRIu32, n->name,
                health);
    for (size_t i = 0; i < CV_RINGS_MAX; i++) {
        const struct cv_watch *watch = &g->watches.subjects[i];
        if (!watch->is_used || !watch->is_heard)
            continue;
        double phi = cv_phi_accrual_phi(&watch->phi, s->clock.now);
        phi = s->planted->is_phi_lost ? NAN : phi;
        sim_require(s, SIM_FD1, phi >= 0 && phi <= PHI_MAX, "%s has a phi of %f", n->name, phi);
    }
}
