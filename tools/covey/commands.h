#ifndef COVEY_TOOL_COMMANDS_H
#define COVEY_TOOL_COMMANDS_H

/* One function a command; argv[0] is the command's last word. Each returns the exit status. */
int command_ca_init(int argc, char **argv);
int command_ca_issue(int argc, char **argv);
int command_agent(int argc, char **argv);
int command_members(int argc, char **argv);
int command_status(int argc, char **argv);
int command_tag_set(int argc, char **argv);
int command_tag_remove(int argc, char **argv);
int command_leave(int argc, char **argv);
int command_call(int argc, char **argv);
int command_sim(int argc, char **argv);

#endif
