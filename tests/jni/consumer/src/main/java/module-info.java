module consumer {
  requires dev.tied;
}
