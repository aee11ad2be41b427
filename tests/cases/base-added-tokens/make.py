import os
import shutil

from transformers import AutoTokenizer

shutil.copytree(os.environ["SHARED"] + "/models/mini-mmt", "b", dirs_exist_ok=True)
t = AutoTokenizer.from_pretrained("b")
t.add_tokens(["Ndox", "sedd", "picc"])
t.save_pretrained("b")
