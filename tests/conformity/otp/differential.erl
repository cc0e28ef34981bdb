%% Drives OTP's own supervisor through scenarios and writes down what it does.
%%
%% Input: one Erlang term a scenario, {Number, Root, Commands}, as otp_erlang.py
%% writes them.  Output: the lines that otp_scenarios.py explains, one scenario
%% after the other, each begun by "# Number".
%%
%% Nothing here waits for a time.  What is observed goes into one table, under
%% strictly increasing integers, in the process to which it happens and before
%% that process goes on: the order of the lines is the order of the causes.
-module(differential).

-export([main/1, start_link/2, log/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-define(LOG, differential_log).
-define(INITS, differential_inits).

main([In, Out]) ->
    ok = logger:remove_handler(default),
    ok = logger:add_handler(give_ups, ?MODULE, #{}),
    ets:new(?LOG, [named_table, public, ordered_set]),
    ets:new(?INITS, [named_table, public]),
    {ok, Scenarios} = file:consult(In),
    {ok, File} = file:open(Out, [write, raw, delayed_write]),
    lists:foreach(fun(Scenario) -> ok = file:write(File, told(Scenario)) end, Scenarios),
    ok = file:close(File),
    halt(0).

%% One scenario, in a process of its own: it is the parent of the root.

told({Number, _, _} = Scenario) ->
    ets:delete_all_objects(?LOG),
    ets:delete_all_objects(?INITS),
    {Driver, Monitor} =
        spawn_monitor(fun() ->
                         process_flag(trap_exit, true),
                         drive(Scenario)
                      end),
    receive
        {'DOWN', Monitor, process, Driver, normal} ->
            ok;
        {'DOWN', Monitor, process, Driver, Reason} ->
            exit({scenario, Number, Reason})
    end,
    [io_lib:format("# ~b~n", [Number]) | [[Line, $\n] || {_, Line} <- ets:tab2list(?LOG)]].

drive({_, Root, Commands}) ->
    say("> start"),
    case start_link("root", Root) of
        {ok, Pid} ->
            go_on(Pid, settled(Pid), Commands);
        {error, _} ->
            say("! start_failed")
    end.

go_on(Root, false, _) ->
    await_end(Root);
go_on(Root, Listing, []) ->
    lists:foreach(fun say/1, Listing),
    say("> stop"),
    exit(Root, shutdown),
    await_end(Root);
go_on(Root, Listing, [Command | Commands]) ->
    lists:foreach(fun say/1, Listing),
    say("> command"),
    Result = result(Root, Command),
    Settled = settled(Root),
    say(["= ", Result]),
    go_on(Root, Settled, Commands).

await_end(Root) ->
    receive
        {'EXIT', Root, Reason} ->
            say(io_lib:format("! ~w", [Reason]))
    end.

%% Commands.

result(Root, {finish, How, Path}) ->
    case found(Root, Path) of
        {Pid, worker} ->
            finish(How, Pid),
            "ok";
        _ ->
            "absent"
    end;
result(Root, {together, Path, Ends}) ->
    case [{How, Pid} || {How, Child} <- Ends, {Pid, worker} <- [found(Root, Child)]] of
        Found when length(Found) =:= length(Ends) ->
            {Supervisor, supervisor} = found(Root, Path),
            together(Supervisor, Found),
            "ok";
        _ ->
            "absent"
    end;
result(Root, {Verb, Path, Argument}) ->
    case found(Root, Path) of
        {Supervisor, supervisor} ->
            named(call(Verb, Supervisor, Path, Argument));
        _ ->
            "absent"
    end.

finish(How, Pid) ->
    Monitor = monitor(process, Pid),
    case How of
        kill ->
            exit(Pid, kill);
        _ ->
            gen_server:cast(Pid, How)
    end,
    receive
        {'DOWN', Monitor, process, Pid, _} ->
            ok
    end.

%% The supervisor is told of these ends in this order, and of all of them before it
%% handles the first.
together(Supervisor, Ends) ->
    ok = sys:suspend(Supervisor),
    lists:foreach(fun({How, Pid}) ->
                     finish(How, Pid),
                     await_exit_of(Pid, Supervisor)
                  end,
                  Ends),
    ok = sys:resume(Supervisor).

await_exit_of(Pid, Supervisor) ->
    {messages, Messages} = process_info(Supervisor, messages),
    case lists:keymember(Pid, 2, Messages) of
        true ->
            ok;
        false ->
            erlang:yield(),
            await_exit_of(Pid, Supervisor)
    end.

call(start, Supervisor, Path, Node) ->
    supervisor:start_child(Supervisor, spec(path("root", Path), Node));
call(terminate, Supervisor, _, Id) ->
    supervisor:terminate_child(Supervisor, Id);
call(restart, Supervisor, _, Id) ->
    supervisor:restart_child(Supervisor, Id);
call(delete, Supervisor, _, Id) ->
    supervisor:delete_child(Supervisor, Id).

named(ok) ->
    "ok";
named({ok, undefined}) ->
    "declined";
named({ok, _}) ->
    "ok";
named({error, {bad_combination, _}}) ->
    "refused";
named({error, {already_started, _}}) ->
    "already_started";
named({error, Word})
    when Word =:= already_present;
         Word =:= not_found;
         Word =:= running;
         Word =:= restarting ->
    atom_to_list(Word);
named({error, _}) ->
    "start_failed".

%% Looking at the tree.

found(Pid, []) ->
    {Pid, supervisor};
found(Pid, [Id | Path]) ->
    case lists:keyfind(Id, 1, supervisor:which_children(Pid)) of
        {Id, Child, supervisor, _} when is_pid(Child) ->
            found(Child, Path);
        {Id, Child, worker, _} when is_pid(Child), Path =:= [] ->
            {Child, worker};
        _ ->
            absent
    end.

%% The listing once nothing is under way any more; false if the root has ended.
%%
%% An end that a supervisor has still to handle shows as a dead child in its
%% listing, and a restart that it is to try again as a restarting one.
settled(Root) ->
    try listing("root", Root) of
        Lines ->
            Lines
    catch
        throw:under_way ->
            settled_again(Root);
        exit:_ ->
            settled_again(Root)
    end.

settled_again(Root) ->
    case is_process_alive(Root) of
        true ->
            settled(Root);
        false ->
            false
    end.

listing(Path, Pid) ->
    Children = lists:reverse(supervisor:which_children(Pid)),
    Counts = supervisor:count_children(Pid),
    Line =
        [Path,
         [[$\s, integer_to_list(proplists:get_value(Of, Counts))]
          || Of <- [specs, active, supervisors, workers]],
         ":",
         [[$\s, atom_to_list(Id), sign(Child)] || {Id, Child, _, _} <- Children]],
    Below =
        [listing(path(Path, [Id]), Child)
         || {Id, Child, supervisor, _} <- Children, is_pid(Child)],
    [Line | lists:append(Below)].

sign(undefined) ->
    "-";
sign(restarting) ->
    throw(under_way);
sign(Pid) ->
    case is_process_alive(Pid) of
        true ->
            "+";
        false ->
            throw(under_way)
    end.

path(Path, Ids) ->
    lists:append([Path | [[$/ | atom_to_list(Id)] || Id <- Ids]]).

%% The children: {Id, Restart, Shutdown, Significant, Inits, StopsBadly, Content},
%% where Content is worker, or a supervisor's flags and children.

spec(Path, {Id, Restart, Shutdown, Significant, _, _, Content} = Node) ->
    Type = case Content of worker -> worker; _ -> supervisor end,
    #{id => Id,
      start => {?MODULE, start_link, [path(Path, [Id]), Node]},
      restart => Restart,
      shutdown => Shutdown,
      significant => Significant,
      type => Type}.

start_link(Path, {_, _, _, _, _, _, worker} = Node) ->
    gen_server:start_link(?MODULE, {worker, Path, Node}, []);
start_link(Path, Node) ->
    supervisor:start_link(?MODULE, {supervisor, Path, Node}).

%% Of both behaviours.
init({Kind, Path, {_, _, _, _, Inits, StopsBadly, Content}}) ->
    Number = ets:update_counter(?INITS, Path, 1, {Path, 0}),
    Outcome =
        case Number =< length(Inits) of
            true -> lists:nth(Number, Inits);
            false -> ready
        end,
    say(["init ", Path, outcome(Outcome)]),
    case {Outcome, Kind} of
        {ready, worker} ->
            process_flag(trap_exit, true),
            {ok, {Path, StopsBadly}};
        {ready, supervisor} ->
            put(path, Path),
            {ok, flags_and_children(Path, Content)};
        {declines, _} ->
            ignore;
        {fails, _} ->
            exit(planned)
    end.

outcome(ready) -> "";
outcome(fails) -> " fails";
outcome(declines) -> " declines".

flags_and_children(Path, {Strategy, Intensity, Period, AutoShutdown, Children}) ->
    {#{strategy => Strategy,
       intensity => Intensity,
       period => Period,
       auto_shutdown => AutoShutdown},
     [spec(Path, Child) || Child <- Children]}.

handle_call(_, _, State) ->
    {noreply, State}.

handle_cast(crash, State) ->
    {stop, planned, {ended, State}};
handle_cast(return, State) ->
    {stop, normal, {ended, State}};
handle_cast(shut_down, State) ->
    {stop, shutdown, {ended, State}};
handle_cast(shut_down_with_detail, State) ->
    {stop, {shutdown, planned}, {ended, State}}.

handle_info(_, State) ->
    {noreply, State}.

terminate(_, {ended, {Path, _}}) ->
    say(["end ", Path]);
terminate(_, {Path, StopsBadly}) ->
    say(["stop ", Path]),
    [exit(planned) || StopsBadly],
    ok.

%% The log.

say(Line) ->
    ets:insert(?LOG, {erlang:unique_integer([monotonic]), Line}).

%% As a handler of logger: it runs in the supervisor that gives up.
log(#{msg := {report, #{label := {supervisor, shutdown}}}}, _) ->
    say(["gave_up ", get(path)]);
log(_, _) ->
    ok.
