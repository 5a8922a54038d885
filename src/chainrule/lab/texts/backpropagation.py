# %% [markdown]
# # Normalization
# %%
from chainrule.lab.notebook import check

check("batchnorm_forward")
