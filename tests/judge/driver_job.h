// What saver_driver's commands act on: one training job after another, each with a graph, a session
// and any number of savers.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "waypost/engine.h"
#include "waypost/graph.h"
#include "waypost/saver.h"
#include "waypost/session.h"
#include "waypost/var_list.h"

namespace waypost {

class Job {
 public:
  // A new graph with these variables, and a session without memory for them; the savers go.
  void Start(const nlohmann::json& variables);
  void NewSaver(int number, const SaverOptions& options);
  Saver& saver(int number) { return savers_.at(number); }

  Session& session() { return *session_; }
  // By the names that they were asked for with, which the graph may have made unique; parts of
  // partitioned variables each by itself.
  const std::map<std::string, Variable>& variables() const { return variables_; }
  // A variable, or all parts of a partitioned one.
  VariableOrSlices Find(const std::string& name) const;

  void SetSeconds(double seconds) { *seconds_ = seconds; }
  // The clock of all savers.
  std::function<double()> Clock() const {
    return [seconds = seconds_] { return *seconds; };
  }

 private:
  void AddVariable(const nlohmann::json& told);

  Engine engine_{{.staging_bytes = std::size_t{16} << 20}};
  std::shared_ptr<double> seconds_ = std::make_shared<double>(0);
  std::unique_ptr<Graph> graph_;
  std::unique_ptr<Session> session_;
  std::map<std::string, Variable> variables_;
  std::map<std::string, std::vector<Variable>> partitioned_;
  std::map<int, Saver> savers_;
};

}  // namespace waypost
