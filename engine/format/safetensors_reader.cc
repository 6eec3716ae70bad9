#include "format/safetensors_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <tuple>
#include <unordered_set>

#include "base/bytes.h"
#include "base/escape.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using nlohmann::json;

// A JSON object read event by event, so that neither its depth nor its size can do harm.  Each
// derived class knows at each moment which events may come; every other ends the reading.
class ObjectReader : public nlohmann::json_sax<json> {
 public:
  explicit ObjectReader(std::string what) : what_(std::move(what)) {}

  void Read(std::string_view text) {
    // nlohmann-json takes a zero byte for the end of the text, and what is behind it for nothing.
    if (const std::size_t zero = text.find('\0'); zero != text.npos) {
      Refuse(fmt::format("there is a zero byte at {}", zero));
    } else if (!text.starts_with('{')) {
      Refuse("it does not begin with '{'");
    } else {
      json::sax_parse(text.begin(), text.end(), this);
    }
    if (!reason_.empty()) throw Error(Code::kDataLoss, what_ + ": " + reason_);
  }

  bool null() override { return Refuse("a null is where none belongs"); }
  bool boolean(bool /*value*/) override { return Refuse("a boolean is where none belongs"); }
  bool number_integer(std::int64_t /*value*/) override { return Refuse("a number is negative"); }
  bool number_unsigned(std::uint64_t /*value*/) override {
    return Refuse("a number is where none belongs");
  }
  bool number_float(double /*value*/, const std::string& text) override {
    return Refuse(fmt::format("the number {} is no integer of 64 bits", Printable(text)));
  }
  bool binary(json::binary_t& /*value*/) override { return Refuse("it has binary values"); }
  bool string(std::string& /*value*/) override { return Refuse("a string is where none belongs"); }
  bool start_array(std::size_t /*elements*/) override {
    return Refuse("a list is where none belongs");
  }
  bool end_array() override { return true; }
  bool parse_error(std::size_t position, const std::string& /*last_token*/,
                   const json::exception& /*error*/) override {
    return Refuse(fmt::format("it is no JSON from byte {} on", position == 0 ? 0 : position - 1));
  }

 protected:
  // The first reason counts.
  bool Refuse(std::string reason) {
    if (reason_.empty()) reason_ = std::move(reason);
    return false;
  }

 private:
  std::string what_;
  std::string reason_;
};

class HeaderReader final : public ObjectReader {
 public:
  using ObjectReader::ObjectReader;

  SafetensorsHeader Take() { return std::move(header_); }

  bool start_object(std::size_t /*elements*/) override {
    switch (place_) {
      case Place::kStart: return Go(Place::kHeader);
      case Place::kMetadataValue: return Go(Place::kMetadata);
      case Place::kTensorValue: fields_ = {}; return Go(Place::kTensor);
      default: return Refuse("an object is where none belongs");
    }
  }

  bool key(std::string& name) override {
    switch (place_) {
      case Place::kHeader: return Name(name);
      case Place::kMetadata: metadata_key_ = name; return Go(Place::kText);
      default: return Field(name);
    }
  }

  bool string(std::string& value) override {
    if (place_ == Place::kText) {
      if (header_.metadata.emplace(metadata_key_, std::move(value)).second)
        return Go(Place::kMetadata);
      return Refuse(fmt::format("the metadata has {} twice", Printable(metadata_key_)));
    }
    if (place_ != Place::kDType) return ObjectReader::string(value);
    tensor().dtype = FindSafetensorsDType(value);
    if (tensor().dtype != nullptr) return Go(Place::kTensor);
    return RefuseTensor(fmt::format("there is no dtype {}", Printable(value)));
  }

  bool start_array(std::size_t elements) override {
    switch (place_) {
      case Place::kShape: return Go(Place::kDimension);
      case Place::kOffsets: return Go(Place::kOffset);
      default: return ObjectReader::start_array(elements);
    }
  }

  bool number_unsigned(std::uint64_t value) override {
    if (place_ == Place::kOffset) {
      offsets_.push_back(value);
      return offsets_.size() <= 2 || RefuseTensor("data_offsets are not two numbers");
    }
    if (place_ != Place::kDimension) return ObjectReader::number_unsigned(value);
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    if (value > kMax) return RefuseTensor(fmt::format("a dimension is {}", value));
    tensor().shape.push_back(static_cast<std::int64_t>(value));
    return true;
  }

  bool end_array() override {
    if (place_ == Place::kOffset) {
      if (offsets_.size() != 2) return RefuseTensor("data_offsets are not two numbers");
      tensor().begin = offsets_[0];
      tensor().end = offsets_[1];
    }
    return Go(Place::kTensor);
  }

  bool end_object() override {
    if (place_ == Place::kTensor && !(fields_.dtype && fields_.shape && fields_.offsets)) {
      return RefuseTensor("it lacks one of dtype, shape and data_offsets");
    }
    return Go(place_ == Place::kHeader ? Place::kEnd : Place::kHeader);
  }

 private:
  // Whose value, or which part of it, comes next.
  enum class Place {
    kStart,
    kHeader,
    kMetadataValue,
    kMetadata,
    kText,
    kTensorValue,
    kTensor,
    kDType,
    kShape,
    kDimension,
    kOffsets,
    kOffset,
    kEnd,
  };
  struct Fields {
    bool dtype = false;
    bool shape = false;
    bool offsets = false;
  };

  bool Go(Place place) {
    place_ = place;
    return true;
  }
  SafetensorsTensor& tensor() { return header_.tensors.back(); }
  bool RefuseTensor(const std::string& reason) {
    return Refuse(fmt::format("tensor {}: {}", Printable(tensor().name), reason));
  }

  bool Name(const std::string& name) {
    if (!names_.insert(name).second) {
      return Refuse(fmt::format("{} is there twice", Printable(name)));
    }
    if (name == kSafetensorsMetadataKey) return Go(Place::kMetadataValue);
    header_.tensors.emplace_back().name = name;
    return Go(Place::kTensorValue);
  }

  bool Field(const std::string& name) {
    if (name == "dtype") return Field(fields_.dtype, Place::kDType);
    if (name == "shape") return Field(fields_.shape, Place::kShape);
    if (name != "data_offsets") {
      return RefuseTensor(fmt::format("there is no field {}", Printable(name)));
    }
    offsets_.clear();
    return Field(fields_.offsets, Place::kOffsets);
  }
  bool Field(bool& is_there, Place place) {
    if (is_there) return RefuseTensor("a field is there twice");
    is_there = true;
    return Go(place);
  }

  SafetensorsHeader header_;
  Place place_ = Place::kStart;
  Fields fields_;
  std::vector<std::uint64_t> offsets_;
  std::string metadata_key_;
  std::unordered_set<std::string> names_;
};

// Only `weight_map` counts; whatever else is there is passed over.
class IndexReader final : public ObjectReader {
 public:
  using ObjectReader::ObjectReader;

  std::map<std::string, std::string> Take() { return std::move(files_); }
  bool has_map() const noexcept { return has_map_; }

  bool null() override { return Other("a null"); }
  bool boolean(bool /*value*/) override { return Other("a boolean"); }
  bool number_integer(std::int64_t /*value*/) override { return Other("a number"); }
  bool number_unsigned(std::uint64_t /*value*/) override { return Other("a number"); }
  bool number_float(double /*value*/, const std::string& /*text*/) override {
    return Other("a number");
  }

  bool start_object(std::size_t /*elements*/) override {
    if (in_map_ && depth_ == 2) return Other("an object");
    return Deeper();
  }
  bool start_array(std::size_t /*elements*/) override {
    if (is_map_next_ || in_map_) return Other("a list");
    return Deeper();
  }
  bool end_object() override { return Higher(); }
  bool end_array() override { return Higher(); }

  bool key(std::string& name) override {
    if (depth_ == 1) {
      is_map_next_ = name == "weight_map";
      if (is_map_next_ && has_map_) return Refuse("weight_map is there twice");
      has_map_ = has_map_ || is_map_next_;
    } else if (in_map_) {
      name_ = name;
    }
    return true;
  }

  bool string(std::string& value) override {
    if (!in_map_) return Other("a string");
    // JSON can spell a zero byte, at which every system call would end the name.
    if (value.empty() || value == "." || value == ".." ||
        value.find_first_of(std::string_view("/\0", 2)) != value.npos) {
      return Refuse(fmt::format("tensor {}: {} is no name of a file beside it", Printable(name_),
                                Printable(value)));
    }
    if (files_.emplace(name_, std::move(value)).second) return true;
    return Refuse(fmt::format("weight_map has {} twice", Printable(name_)));
  }

 private:
  // The reference implementation's parser has the same limit.
  static constexpr int kDepthMax = 128;

  bool Other(const char* what) {
    if (is_map_next_) return Refuse(fmt::format("weight_map is {}", what));
    if (in_map_) return Refuse(fmt::format("tensor {}: its file is {}", Printable(name_), what));
    return true;
  }
  bool Deeper() {
    in_map_ = in_map_ || is_map_next_;
    is_map_next_ = false;
    return ++depth_ <= kDepthMax || Refuse("it is nested too deeply");
  }
  bool Higher() {
    --depth_;
    if (depth_ == 1) in_map_ = false;
    return true;
  }

  std::map<std::string, std::string> files_;
  std::string name_;
  int depth_ = 0;
  bool has_map_ = false;
  bool is_map_next_ = false;
  bool in_map_ = false;
};

// The bytes that dtype and shape ask for; nullopt where they are beyond 63 bits or end within a
// byte.  A zero makes the product zero, but must not hide an overflow of the other dimensions: a
// reader that multiplies in another order would meet it.
std::optional<std::uint64_t> BytesOf(const SafetensorsTensor& tensor) {
  auto bits = static_cast<std::uint64_t>(tensor.dtype->bits);
  bool is_empty = false;
  for (const std::int64_t dimension : tensor.shape) {
    if (dimension == 0) {
      is_empty = true;
    } else if (__builtin_mul_overflow(bits, static_cast<std::uint64_t>(dimension), &bits)) {
      return std::nullopt;
    }
  }
  if (is_empty) return 0;
  if (bits % 8 != 0) return std::nullopt;
  return bits / 8;
}

// The tensors follow on each other from the first byte of the data to the last.
void RequireContiguous(std::vector<SafetensorsTensor>& tensors, std::uint64_t data_bytes,
                       const std::string& path) {
  const auto place = [](const SafetensorsTensor& tensor) {
    return std::tie(tensor.begin, tensor.end, tensor.name);
  };
  std::ranges::sort(tensors, {}, place);
  std::uint64_t end = 0;
  for (const SafetensorsTensor& tensor : tensors) {
    const auto refuse = [&](const std::string& reason) {
      throw Error(Code::kDataLoss,
                  fmt::format("{}: tensor {}: {}", path, Printable(tensor.name), reason));
    };
    if (tensor.begin != end || tensor.end < tensor.begin) {
      refuse(fmt::format("its bytes [{}, {}) do not follow on byte {}", tensor.begin, tensor.end,
                         end));
    }
    const std::optional<std::uint64_t> wanted = BytesOf(tensor);
    if (!wanted || *wanted != tensor.end - tensor.begin) {
      refuse(fmt::format("its {} bytes are not those of {} and shape {}", tensor.end - tensor.begin,
                         tensor.dtype->name, ShapeText(tensor.shape)));
    }
    end = tensor.end;
  }
  if (end == data_bytes) return;
  throw Error(Code::kDataLoss, fmt::format("{}: its tensors are {} bytes, and {} are in the file",
                                           path, end, data_bytes));
}

}  // namespace

SafetensorsHeader ParseSafetensors(std::span<const std::byte> file, const std::string& path) {
  constexpr std::size_t kLengthBytes = 8;
  if (file.size() < kLengthBytes) {
    throw Error(Code::kDataLoss,
                fmt::format("{}: {} bytes are no safetensors file", path, file.size()));
  }
  const auto size = LoadFixed<std::uint64_t>(file.data());
  if (size > kSafetensorsHeaderBytesMax) {
    throw Error(Code::kDataLoss, fmt::format("{}: a header of {} bytes, of which {} are the most",
                                             path, size, kSafetensorsHeaderBytesMax));
  }
  if (size > file.size() - kLengthBytes) {
    throw Error(Code::kDataLoss,
                fmt::format("{}: its header of {} bytes reaches beyond the file's end at {}", path,
                            size, file.size()));
  }
  const std::string text(AsText(file.subspan(kLengthBytes, static_cast<std::size_t>(size))));
  HeaderReader reader(path + ": its header");
  reader.Read(text);
  SafetensorsHeader header = reader.Take();
  const std::uint64_t data_begin = kLengthBytes + size;
  RequireContiguous(header.tensors, file.size() - data_begin, path);
  for (SafetensorsTensor& tensor : header.tensors) {
    tensor.begin += data_begin;
    tensor.end += data_begin;
  }
  return header;
}

std::map<std::string, std::string> ParseSafetensorsIndex(std::span<const std::byte> json_bytes,
                                                         const std::string& path) {
  IndexReader reader(path);
  reader.Read(AsText(json_bytes));
  if (!reader.has_map()) throw Error(Code::kDataLoss, path + ": it has no weight_map");
  return reader.Take();
}

}  // namespace waypost
