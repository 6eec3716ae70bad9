#include "wire/object_graph.h"

#include "wire/message_decoding.h"

namespace waypost {
namespace {

using protozero::pbf_reader;
using protozero::tag_and_type;

using KeysByName = std::map<std::string, std::string>;

// SerializedTensor
void TakeAttribute(pbf_reader reader, KeysByName& keys) {
  std::string full_name;
  std::string key;
  while (reader.next()) {
    switch (reader.tag_and_type()) {
      case tag_and_type(2, kBytes): full_name = reader.get_string(); break;
      case tag_and_type(3, kBytes): key = reader.get_string(); break;
      default: reader.skip();
    }
  }
  // What is no variable has no name.
  if (!full_name.empty()) keys[std::move(full_name)] = std::move(key);
}

// TrackableObject
void TakeObject(pbf_reader reader, KeysByName& keys) {
  while (reader.next(2, kBytes)) TakeAttribute(reader.get_message(), keys);
}

}  // namespace

std::optional<KeysByName> DecodeObjectGraph(std::span<const std::byte> bytes) {
  return TryDecode<KeysByName>(bytes, [](pbf_reader reader) {
    KeysByName keys;
    while (reader.next(1, kBytes)) TakeObject(reader.get_message(), keys);
    return keys;
  });
}

}  // namespace waypost
