# nomad job run examples/container/site.nomad.hcl
#
# In a fleet Nomad decides what runs where; within the task, sysmgr keeps its processes.
# No test reads or runs this file: see README.
job "site" {
  group "site" {
    network {
      port "http" {
        to = 8080
      }
    }

    service {
      name     = "site"
      port     = "http"
      provider = "consul"

      check {
        name     = "ready"
        type     = "script"
        task     = "site"
        command  = "/usr/local/bin/svctl"
        args     = ["-q", "ready"]
        interval = "10s"
        timeout  = "3s"
      }
    }

    # When web, which is essential, ends by itself, so does the task.
    restart {
      attempts = 3
      interval = "10m"
      delay    = "5s"
      mode     = "delay"
    }

    task "site" {
      driver = "docker"
      user   = "10001:10001"

      # sysmgr needs 9 seconds at most.
      kill_signal  = "SIGTERM"
      kill_timeout = "12s"

      config {
        image           = "site"
        ports           = ["http"]
        init            = false
        readonly_rootfs = true
        cap_drop        = ["all"]

        # RUNDIR is /run/sysmgr, a directory in it: sysmgr makes that one.
        mount {
          type   = "tmpfs"
          target = "/run"

          tmpfs_options {
            size = 16777216
          }
        }

        mount {
          type   = "volume"
          target = "/data"
          source = "site-data"
        }
      }

      resources {
        cpu    = 200
        memory = 128
      }
    }
  }
}
