// Summaries for TensorBoard: operations that a graph holds, and the message they evaluate to.
//
// Tags and values are TensorFlow's (python/summary/summary.py, core/lib/histogram/histogram.cc,
// core/kernels/summary_image_op.cc, core/kernels/summary_audio_op.cc); the operations are
// TensorFlow's too, and an exported graph runs them there.  A job without a graph fills a Summary
// by hand.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "waypost/event.h"
#include "waypost/graph.h"
#include "waypost/tensor.h"

namespace waypost {

// A Summary message: values, each with a tag.  Plain data: one thread at a time.
//
// Add... append a value of host memory, which is read before they return, under the tag as it is:
// it may repeat, and is any UTF-8.  They throw kInvalidArgument for what TensorFlow's operations
// refuse (see namespace summary), and then leave the summary as it was.
class Summary {
 public:
  Summary() = default;
  // kDataLoss when the bytes are no Summary message.
  static Summary Parse(std::string_view serialized);
  const std::string& Serialize() const noexcept { return serialized_; }
  std::vector<SummaryValue> Values() const;

  void AddScalar(std::string_view tag, float value);
  // Any shape of a real dtype; neither NaN nor infinity.
  void AddHistogram(std::string_view tag, const ConstTensorView& values);
  // [height, width, channels] of pixels, as summary::Image takes a batch of them.
  void AddImage(std::string_view tag, const ConstTensorView& pixels);
  // float32 [frames, channels] between -1 and 1; `sample_rate` in Hz.
  void AddAudio(std::string_view tag, const ConstTensorView& samples, float sample_rate);
  // Markdown, for TensorBoard's plugin "text".
  void AddText(std::string_view tag, std::string_view text);
  void AddTensor(std::string_view tag, const ConstTensorView& tensor,
                 const SummaryMetadata& metadata = {});

 private:
  std::string serialized_;
};

namespace summary {

// Where an operation goes, and the group that TensorBoard shows it in.
struct SummaryOptions {
  // The graph's collections that the operation is added to.
  std::vector<std::string> collections = {"summaries"};
  // With a family the operation's scope is FAMILY/NAME and its tag FAMILY/SCOPE; "" for none.
  std::string family = {};
};

// The same for one that shows members of a batch.
struct BatchSummaryOptions {
  int max_outputs = 3;  // members that are shown, from the first one on; at least 1
  std::vector<std::string> collections = {"summaries"};
  std::string family = {};
};

struct TextOptions {
  std::vector<std::string> collections = {"summaries"};
};

struct TensorSummaryOptions {
  // Both stand over what `summary_metadata` says of them, unless empty.
  std::string summary_description = {};
  std::string display_name = {};
  SummaryMetadata summary_metadata = {};
  std::vector<std::string> collections = {"summaries"};
  std::string family = {};
};

struct MergeOptions {
  std::string name = {};  // "" for "Merge"
  std::vector<std::string> collections = {};
};

struct MergeAllOptions {
  std::string key = "summaries";  // the collection
  // Only operations whose tensor's name ("SCOPE/NAME:0") begins with a match of this regular
  // expression (ECMAScript's); "" for all.  A name of more than 2048 characters is refused then.
  std::string scope = {};
  std::string name = {};
};

// Each adds an operation to the graph and returns its output.  The tag is the name, cleaned and
// made unique, within the current NameScope.  Inputs are placeholders, variables and constants of
// the graph. Throw kInvalidArgument for a name that TensorFlow would refuse, an input of a dtype
// that cannot be shown, and an input of another graph; the graph is then as it was.  What only a
// value can show (a shape that is not known, NaN) is thrown by Session::Run.
//
// A scalar of a real dtype; shown as float32.
Output Scalar(Graph& graph, const std::string& name, const Output& value,
              const SummaryOptions& options = {});
// Any shape of a real dtype.
Output Histogram(Graph& graph, const std::string& name, const Output& values,
                 const SummaryOptions& options = {});
// [batch, height, width, channels] with 1 (gray), 3 (RGB) or 4 (RGBA) channels.  uint8 as it is;
// float16, float32 and float64 are scaled, each image by itself: to the largest value as 255, or
// with negative values around 128.  A pixel that is not finite is red (gray: white).
Output Image(Graph& graph, const std::string& name, const Output& images,
             const BatchSummaryOptions& options = {});
// float32 [batch, frames] or [batch, frames, channels] between -1 and 1, shown as WAV of 16 bits.
// `sample_rate` in Hz: a number, or a placeholder or variable of float32 and shape {}.
Output Audio(Graph& graph, const std::string& name, const Output& clips, float sample_rate,
             const BatchSummaryOptions& options = {});
Output Audio(Graph& graph, const std::string& name, const Output& clips, const Output& sample_rate,
             const BatchSummaryOptions& options = {});
// Strings of any shape, Markdown, for TensorBoard's plugin "text".
Output Text(Graph& graph, const std::string& name, const Output& texts,
            const TextOptions& options = {});
// Any tensor, for the plugin that the metadata names.
Output TensorSummary(Graph& graph, const std::string& name, const Output& tensor,
                     const TensorSummaryOptions& options = {});

// The values of all inputs, in order.  An input is a summary, or a string placeholder that is fed
// with a serialized one.  kInvalidArgument without inputs.
Output Merge(Graph& graph, std::span<const Output> inputs, const MergeOptions& options = {});
// One operation that merges a collection.  kFailedPrecondition when nothing of it is to be merged.
Output MergeAll(Graph& graph, const MergeAllOptions& options = {});

}  // namespace summary
}  // namespace waypost
