#include "graph/protobuf_codec.h"

#include <memory>

#include "graph/kept_parts.h"
#include "graph/meta_graph_content.h"
#include "graph/meta_graph_export.h"
#include "graph/model_from_proto.h"
#include "graph/output_shapes.h"
#include "graph/proto_bytes.h"
#include "graph/proto_from_model.h"
#include "graph/scope_names.h"
#include "waypost/error.h"

namespace waypost {
namespace {

std::unique_ptr<google::protobuf::Message> NewMessage(GraphMessage message) {
  if (message == GraphMessage::kGraphDef) return std::make_unique<tf::GraphDef>();
  return std::make_unique<tf::MetaGraphDef>();
}

template <typename Message>
Message Parsed(const std::string& bytes) {
  Message message;
  if (!ParseBinary(bytes, message)) {
    throw Error(Code::kDataLoss, "the bytes are no " + message.GetTypeName());
  }
  return message;
}

class ProtobufCodec final : public GraphCodec {
 public:
  std::string GraphDefBinary(const GraphModel& graph) const override {
    tf::MetaGraphDef meta = MetaGraphOf(graph);
    for (tf::NodeDef& node : *meta.mutable_graph_def()->mutable_node()) {
      node.mutable_attr()->erase(kOutputShapes);
    }
    return SerializeMessage(meta.graph_def());
  }

  std::string MetaGraphBinary(const GraphModel& graph, const std::optional<SaverDef>& saver,
                              const ExportMetaGraphOptions& options) const override {
    return SerializeMessage(ExportedMetaGraph(graph, saver, options));
  }

  ImportedModel ImportMetaGraph(const std::string& bytes, bool clear_devices,
                                const std::string& scope,
                                std::optional<SaverDef>& saver) const override {
    auto meta = Parsed<tf::MetaGraphDef>(bytes);
    if (clear_devices) {
      for (tf::NodeDef& node : *meta.mutable_graph_def()->mutable_node()) node.clear_device();
    }
    if (!scope.empty()) AddScope(meta, scope);
    saver.reset();
    if (meta.has_saver_def()) saver = FromProto(meta.saver_def());
    return ModelOf(std::move(meta));
  }

  std::string MergeKept(const std::string& into, const std::string& from) const override {
    auto meta = Parsed<tf::MetaGraphDef>(into);
    // The graph was all ours so far.
    if (into.empty()) meta.mutable_graph_def()->mutable_versions()->set_producer(kGraphProducer);
    return SerializeMessage(MergedKept(std::move(meta), Parsed<tf::MetaGraphDef>(from)));
  }

  std::string Normalize(GraphMessage message, std::string_view content) const override {
    const std::unique_ptr<google::protobuf::Message> proto = NewMessage(message);
    ParseMessage(content, *proto);
    return SerializeMessage(*proto);
  }

  std::string Text(GraphMessage message, const std::string& bytes) const override {
    const std::unique_ptr<google::protobuf::Message> proto = NewMessage(message);
    ParseMessage(bytes, *proto);
    return PrintMessage(*proto);
  }

  std::vector<NodeInfo> Nodes(const std::string& graph_def) const override {
    return NodesOf(Parsed<tf::GraphDef>(graph_def));
  }

  MetaGraphContent Content(const std::string& meta) const override {
    return ContentOf(Parsed<tf::MetaGraphDef>(meta));
  }

  std::string GraphDefOf(const std::string& meta) const override {
    return SerializeMessage(Parsed<tf::MetaGraphDef>(meta).graph_def());
  }

  std::string SaverDefBinary(const SaverDef& saver) const override {
    tf::SaverDef proto;
    SetSaver(saver, proto);
    return SerializeMessage(proto);
  }

  SaverDef ParseSaverDef(std::string_view bytes) const override {
    tf::SaverDef proto;
    if (!ParseBinary(bytes, proto)) {
      throw Error(Code::kDataLoss, "parse SaverDef: the bytes are no such message");
    }
    return FromProto(proto);
  }
};

}  // namespace

const GraphCodec& ProtobufGraphCodec() noexcept {
  static const ProtobufCodec codec;
  return codec;
}

}  // namespace waypost
