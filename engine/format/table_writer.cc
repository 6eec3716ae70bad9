#include "format/table_writer.h"

#include <leveldb/env.h>
#include <leveldb/options.h>

#include <utility>

#include "base/check.h"

namespace waypost {
namespace {

constexpr std::size_t kBlockBytes = 262144;

leveldb::Options TableOptions() {
  leveldb::Options options;
  options.block_size = kBlockBytes;
  options.compression = leveldb::kNoCompression;
  return options;
}

leveldb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

// What TableBuilder appends to; nothing here can fail.
class TableWriter::StringFile final : public leveldb::WritableFile {
 public:
  leveldb::Status Append(const leveldb::Slice& data) override {
    bytes.append(data.data(), data.size());
    return leveldb::Status::OK();
  }
  leveldb::Status Close() override { return leveldb::Status::OK(); }
  leveldb::Status Flush() override { return leveldb::Status::OK(); }
  leveldb::Status Sync() override { return leveldb::Status::OK(); }

  std::string bytes;
};

TableWriter::TableWriter()
    : file_(std::make_unique<StringFile>()),
      builder_(std::make_unique<leveldb::TableBuilder>(TableOptions(), file_.get())) {}

TableWriter::~TableWriter() {
  if (builder_) builder_->Abandon();
}

void TableWriter::Add(std::string_view key, std::string_view value) {
  WAYPOST_CHECK(builder_ && (is_empty_ || last_key_ < key));
  // TensorFlow lets an entry this large begin a block of its own; LevelDB does not.
  if (!is_empty_ && key.size() + value.size() >= 2 * kBlockBytes) builder_->Flush();
  builder_->Add(ToSlice(key), ToSlice(value));
  last_key_ = key;
  is_empty_ = false;
}

std::string TableWriter::Finish() {
  WAYPOST_CHECK(builder_);
  const leveldb::Status status = builder_->Finish();
  WAYPOST_CHECK(status.ok());
  builder_.reset();
  return std::move(file_->bytes);
}

}  // namespace waypost
