#include "format/table_writer.h"

#include <leveldb/env.h>
#include <leveldb/options.h>

#include <exception>
#include <utility>

#include "base/bytes.h"
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

// What TableBuilder appends to.  LevelDB is built without exceptions: the sink's is kept until its
// code has returned.
class TableWriter::SinkFile final : public leveldb::WritableFile {
 public:
  explicit SinkFile(Sink sink) : sink_(std::move(sink)) {}

  leveldb::Status Append(const leveldb::Slice& data) override {
    try {
      sink_(AsBytes({data.data(), data.size()}));
      return leveldb::Status::OK();
    } catch (...) {
      error_ = std::current_exception();
      return leveldb::Status::IOError("the sink has thrown");
    }
  }
  leveldb::Status Close() override { return leveldb::Status::OK(); }
  leveldb::Status Flush() override { return leveldb::Status::OK(); }
  leveldb::Status Sync() override { return leveldb::Status::OK(); }

  void ThrowIfFailed() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

 private:
  Sink sink_;
  std::exception_ptr error_;
};

TableWriter::TableWriter(Sink sink)
    : file_(std::make_unique<SinkFile>(std::move(sink))),
      builder_(std::make_unique<leveldb::TableBuilder>(TableOptions(), file_.get())) {}

TableWriter::~TableWriter() {
  if (builder_) builder_->Abandon();
}

void TableWriter::Add(std::string_view key, std::string_view value) {
  WAYPOST_CHECK(builder_ && (is_empty_ || last_key_ < key));
  // TensorFlow lets an entry this large begin a block of its own; LevelDB does not.
  if (!is_empty_ && key.size() + value.size() >= 2 * kBlockBytes) builder_->Flush();
  builder_->Add(ToSlice(key), ToSlice(value));
  file_->ThrowIfFailed();
  last_key_ = key;
  is_empty_ = false;
}

void TableWriter::Finish() {
  WAYPOST_CHECK(builder_);
  const leveldb::Status status = builder_->Finish();
  builder_.reset();
  file_->ThrowIfFailed();
  WAYPOST_CHECK(status.ok());
}

}  // namespace waypost
