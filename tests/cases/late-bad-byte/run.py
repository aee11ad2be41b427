# stands for a big file: spans of 512 tokens in place of 2**20
from badx_hub.corpora import blocks

blocks.BlockStore.__init__.__kwdefaults__["shard_tokens"] = 512
from badx_hub import Mixture, open_registry, train_language_adapter
from badx_hub.recipes import load_recipe, override
from badx_hub.training.loop import Silent


class Steps(Silent):
    def stepped(self, step, loss, units):
        print("step", step, flush=True)


r = override(
    load_recipe("demo").language_side(1),
    {"steps": 60, "batch_size": 32, "max_length": 8, "eval_every": 30, "eval_blocks": 1},
)
train_language_adapter(
    Mixture.parse("wo"), r, registry=open_registry("reg"), base="demo", text={"wo": "late.txt"}, reporter=Steps()
)
