// Waypost: saves and restores the state of a training job.  Start here.
//
//   #include <waypost/waypost.h>
//
//   waypost::Engine engine;
//   std::vector<waypost::NamedTensor> state = {
//       {"kernel", waypost::TensorView(data, waypost::DType::kFloat32, {64, 10})}};
//   waypost::SaveHandle save = waypost::SaveAsync(engine, "ckpt/m-7", state);
//   save.WaitCommitted();                         // a power cut cannot lose it any more
//   waypost::Restore(engine, "ckpt/m-7", state);
//
// Two layers.  The core knows named tensors: engine.h, save_handle.h, timed_wait.h,
// checkpoint_reader.h, tensor.h, merge.h.  On it stand TensorFlow's names: graph.h, meta_graph.h,
// session.h, saver.h, checkpoint_state.h, summary.h, file_writer.h; event_reader.h reads event
// files.  Everything that fails throws waypost::Error (error.h).
#pragma once

#include "waypost/attr_value.h"         // IWYU pragma: export
#include "waypost/checkpoint_reader.h"  // IWYU pragma: export
#include "waypost/checkpoint_state.h"   // IWYU pragma: export
#include "waypost/engine.h"             // IWYU pragma: export
#include "waypost/error.h"              // IWYU pragma: export
#include "waypost/event.h"              // IWYU pragma: export
#include "waypost/event_reader.h"       // IWYU pragma: export
#include "waypost/file_writer.h"        // IWYU pragma: export
#include "waypost/graph.h"              // IWYU pragma: export
#include "waypost/listed_save.h"        // IWYU pragma: export
#include "waypost/merge.h"              // IWYU pragma: export
#include "waypost/meta_graph.h"         // IWYU pragma: export
#include "waypost/save_handle.h"        // IWYU pragma: export
#include "waypost/saver.h"              // IWYU pragma: export
#include "waypost/saver_builder.h"      // IWYU pragma: export
#include "waypost/saver_def.h"          // IWYU pragma: export
#include "waypost/session.h"            // IWYU pragma: export
#include "waypost/summary.h"            // IWYU pragma: export
#include "waypost/tensor.h"             // IWYU pragma: export
#include "waypost/timed_wait.h"         // IWYU pragma: export
#include "waypost/var_list.h"           // IWYU pragma: export
