// What libwaypost_graph.so exports: one function, found by dlsym.
#include "graph/protobuf_codec.h"

extern "C" [[gnu::visibility("default")]] const waypost::GraphCodec* WaypostGraphCodec(
    int interface_number) noexcept {
  return interface_number == waypost::kGraphCodecInterface ? &waypost::ProtobufGraphCodec()
                                                           : nullptr;
}
