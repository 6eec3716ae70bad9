"""Trains a small model and saves it in the background; started again, it goes on from its latest checkpoint."""

import sys

import torch
import waypost

directory, steps = sys.argv[1], int(sys.argv[2])

torch.manual_seed(0)
model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
done = 0

if latest := waypost.latest(directory, verified=True):
    state = waypost.load(latest)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    done = state["step"]
    print(f"restored step {done} from {latest}", flush=True)

for step in range(done + 1, steps + 1):
    batch = torch.Generator().manual_seed(step)  # a resumed run sees the same batches
    images = torch.rand(32, 64, generator=batch)
    loss = torch.nn.functional.cross_entropy(model(images), images[:, :10].argmax(1))
    optimizer.zero_grad()
    loss.backward()
    with waypost.updating():  # waits until no save reads the weights any more
        optimizer.step()
    if step % 50 == 0:
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
        waypost.save_async(f"{directory}/model.ckpt-{step}", state, max_to_keep=3)
        print(f"step {step}  loss {loss:.4f}", flush=True)

waypost.settle()  # the last save is durable, or its error is raised
