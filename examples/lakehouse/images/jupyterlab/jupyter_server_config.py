"""JupyterLab in a container. The token is in the environment (JUPYTER_TOKEN), in no command line."""

c = get_config()  # noqa: F821 - Jupyter gives it
c.ServerApp.ip = "0.0.0.0"
c.ServerApp.port = 8888
c.ServerApp.open_browser = False
c.ServerApp.allow_remote_access = True
c.ServerApp.root_dir = "/home/jovyan"
# It asks nobody outside for news or newer versions.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
