#ifndef COVEY_COVEY_H
#define COVEY_COVEY_H

/* All of covey. */

#include <covey/admin.h>
#include <covey/balancer.h>
#include <covey/call.h>
#include <covey/client.h>
#include <covey/cluster.h>
#include <covey/cluster_client.h>
#include <covey/error.h>
#include <covey/events.h>
#include <covey/health.h>
#include <covey/identity.h>
#include <covey/interceptor.h>
#include <covey/metadata.h>
#include <covey/node.h>
#include <covey/partition.h>
#include <covey/pki.h>
#include <covey/runtime.h>
#include <covey/server.h>
#include <covey/status.h>
#include <covey/stream.h>
#include <covey/types.h>
#include <covey/version.h>

#endif
