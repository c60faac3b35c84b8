#include "cost.h"

size_t sim_cost_packets(size_t size, bool is_reliable)
{
    return is_reliable ? (size + SIM_PACKET_PAYLOAD - 1) / SIM_PACKET_PAYLOAD : 1;
}

size_t sim_cost_bytes(size_t size, bool is_reliable)
{
    size_t frame = is_reliable ? SIM_STREAM_FRAME : SIM_DATAGRAM_FRAME;
    return size + sim_cost_packets(size, is_reliable) * (SIM_PACKET_OVERHEAD + frame);
}
