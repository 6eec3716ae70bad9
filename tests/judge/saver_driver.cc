// saver_driver: runs the commands of another program on Waypost's Saver.
//
// Reads one JSON command a line from standard input, {"op": "save", "saver": 1, "path": "m", ...},
// and answers each with one line: {"ok": RESULT}, or {"error": {"code", "message"}} for a
// waypost::Error.  tests/python/differ_waypost.py is the other end; the commands are those of the
// table below, their members in the functions that read them.  Any other failure ends the program.
#include <exception>
#include <functional>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "driver_functions.h"
#include "driver_job.h"
#include "waypost/error.h"

namespace waypost {
namespace {

using nlohmann::json;
using Commands = std::map<std::string, std::function<json(const json&)>>;

Commands CommandsOf(Job& job) {
  Commands commands = CheckpointFunctions();
  commands.merge(JobFunctions(job));
  return commands;
}

json Answer(const Commands& commands, const json& command) {
  const std::string op = command.at("op");
  const auto function = commands.find(op);
  if (function == commands.end()) throw std::runtime_error("no such command: " + op);
  try {
    return {{"ok", function->second(command)}};
  } catch (const Error& error) {
    return {{"error", {{"code", CodeName(error.code())}, {"message", error.what()}}}};
  }
}

void Serve() {
  Job job;
  const Commands commands = CommandsOf(job);
  for (std::string line; std::getline(std::cin, line);) {
    const json answer = Answer(commands, json::parse(line));
    std::cout << answer.dump(-1, ' ', true, json::error_handler_t::replace) << std::endl;
  }
}

}  // namespace
}  // namespace waypost

int main() {
  try {
    waypost::Serve();
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "saver_driver: " << error.what() << '\n';
    return 1;
  }
}
