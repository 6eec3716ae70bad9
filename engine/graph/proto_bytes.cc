#include "graph/proto_bytes.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/stubs/logging.h>
#include <google/protobuf/stubs/strutil.h>
#include <google/protobuf/text_format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "waypost/error.h"

namespace waypost {
namespace {

using google::protobuf::TextFormat;

// Messages within messages: protobuf's own limit for binary, which its text parser does not set.
constexpr int kDepthMax = 100;

// Python's repr: the shortest digits that read back as the same double, with an exponent below 1e-4
// and from 1e16 on.
std::string PythonRepr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  const double magnitude = std::fabs(value);
  const bool exponent = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16);
  char buffer[64];
  const auto [end, error] =
      std::to_chars(std::begin(buffer), std::end(buffer), value,
                    exponent ? std::chars_format::scientific : std::chars_format::fixed);
  std::string text(std::begin(buffer), end);
  if (!exponent && text.find('.') == std::string::npos) text += ".0";
  return text;
}

// The double that Python's protobuf prints for a float: of 6 and more digits the first that are
// enough.
double ShortDecimal(float value) {
  if (!std::isfinite(value)) return value;
  for (int digits = 6;; ++digits) {
    const double decimal = std::strtod(fmt::format("{:.{}g}", value, digits).c_str(), nullptr);
    if (static_cast<float>(decimal) == value) return decimal;
  }
}

// Begins a line that Python does not print; in strings it is escaped.
constexpr char kOmitted = '\x01';

// A map's entry is a message for Python, and leaves out what is a default: the key 0, the value "".
// These are the kinds that TensorFlow's maps have beside messages.
bool IsOmitted(const google::protobuf::Message& message,
               const google::protobuf::FieldDescriptor& field) {
  if (!message.GetDescriptor()->options().map_entry()) return false;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  switch (field.cpp_type()) {
    case google::protobuf::FieldDescriptor::CPPTYPE_STRING:
      return reflection.GetString(message, &field).empty();
    case google::protobuf::FieldDescriptor::CPPTYPE_UINT32:
      return reflection.GetUInt32(message, &field) == 0;
    case google::protobuf::FieldDescriptor::CPPTYPE_UINT64:
      return reflection.GetUInt64(message, &field) == 0;
    default: return false;
  }
}

std::string WithoutOmittedLines(const std::string& text) {
  std::string kept;
  kept.reserve(text.size());
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    const std::string_view line = std::string_view(text).substr(begin, end - begin);
    if (line.find(kOmitted) == std::string_view::npos) kept += line;
    begin = end;
  }
  return kept;
}

class PythonPrinter : public TextFormat::FastFieldValuePrinter {
 public:
  void PrintFieldName(const google::protobuf::Message& message, int index, int count,
                      const google::protobuf::Reflection* reflection,
                      const google::protobuf::FieldDescriptor* field,
                      TextFormat::BaseTextGenerator* generator) const override {
    if (IsOmitted(message, *field)) generator->PrintString(std::string(1, kOmitted));
    FastFieldValuePrinter::PrintFieldName(message, index, count, reflection, field, generator);
  }
  void PrintFloat(float value, TextFormat::BaseTextGenerator* generator) const override {
    generator->PrintString(PythonRepr(ShortDecimal(value)));
  }
  void PrintDouble(double value, TextFormat::BaseTextGenerator* generator) const override {
    generator->PrintString(PythonRepr(value));
  }
  void PrintString(const std::string& value,
                   TextFormat::BaseTextGenerator* generator) const override {
    generator->PrintString('"' + google::protobuf::strings::Utf8SafeCEscape(value) + '"');
  }
  void PrintBytes(const std::string& value,
                  TextFormat::BaseTextGenerator* generator) const override {
    FastFieldValuePrinter::PrintString(value, generator);
  }
};

// Keeps the first error, as "LINE:COLUMN: reason", counted from 1.
class FirstError : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column,
                const std::string& message) override {
    if (text.empty()) text = fmt::format("{}:{}: {}", line + 1, column + 1, message);
  }
  std::string text;
};

// Whether somebody may have meant the bytes as text.
bool LooksLikeText(std::string_view bytes) {
  return std::none_of(bytes.begin(), bytes.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 && c != '\n' && c != '\t' && c != '\r';
  });
}

// Our package's name is no concern of a user's: "waypost.tf.NodeDef" becomes "NodeDef".
std::string WithoutPackage(std::string text) {
  constexpr std::string_view kPackage = "waypost.tf.";
  for (std::size_t at = 0; (at = text.find(kPackage, at)) != std::string::npos;) {
    text.erase(at, kPackage.size());
  }
  return text;
}

void ParseText(std::string_view bytes, google::protobuf::Message& message) {
  FirstError error;
  TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  parser.SetRecursionLimit(kDepthMax);
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  if (!parser.Parse(&stream, &message)) {
    throw Error(Code::kInvalidArgument, WithoutPackage(error.text));
  }
  // Strings that are no UTF-8 pass the parser, and then no reader of the binary form.
  const std::string binary = SerializeMessage(message);
  if (!ParseBinary(binary, message)) {
    throw Error(Code::kInvalidArgument, "a string is not valid UTF-8");
  }
}

}  // namespace

void CheckMessageSize(std::size_t size_bytes) {
  if (size_bytes > static_cast<std::size_t>(std::numeric_limits<int>::max())) {
    throw Error(Code::kInvalidArgument, "serialize the graph: it is larger than protobuf's 2 GiB");
  }
}

std::string SerializeMessage(const google::protobuf::Message& message) {
  CheckMessageSize(message.ByteSizeLong());
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  if (!message.SerializeToCodedStream(&coded)) {
    throw Error(Code::kInternal, "serialize the graph: protobuf failed");
  }
  coded.Trim();
  return bytes;
}

std::string PrintMessage(const google::protobuf::Message& message) {
  CheckMessageSize(message.ByteSizeLong());
  TextFormat::Printer printer;
  printer.SetDefaultFieldValuePrinter(new PythonPrinter);  // the printer owns it
  printer.SetHideUnknownFields(true);
  std::string text;
  if (!printer.PrintToString(message, &text)) {
    throw Error(Code::kInternal, "print the graph: protobuf failed");
  }
  return WithoutOmittedLines(text);
}

bool ParseBinary(std::string_view bytes, google::protobuf::Message& message) {
  CheckMessageSize(bytes.size());
  // An error is one line, and the caller's: protobuf would print another one beside it.
  const google::protobuf::LogSilencer silencer;
  return message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
}

void ParseMessage(std::string_view bytes, google::protobuf::Message& message) {
  if (ParseBinary(bytes, message)) return;
  message.Clear();
  if (!LooksLikeText(bytes)) {
    throw Error(Code::kDataLoss,
                fmt::format("the bytes are no {}", message.GetDescriptor()->name()));
  }
  ParseText(bytes, message);
}

}  // namespace waypost
